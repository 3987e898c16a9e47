/* Runs a target on files, without the fuzzer: what it has found stays found. `make c-test` runs fuzz/kernels/found/. */
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **names)
{
    static uint8_t data[1 << 20];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        require(file != NULL, names[i]);
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        printf("ok %s\n", names[i]);
    }
    return 0;
}
