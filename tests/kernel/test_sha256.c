/* SHA-256 of libpanda_edge: the vectors of FIPS 180-4's examples, and every length around the ends of its blocks. */
#include <string.h>

#include "check.h"
#include "library/sha256.h"

static void check_digest(const void *data, size_t length, const char *expected)
{
    uint8_t digest[SHA256_BYTES];
    char text[2 * SHA256_BYTES + 1];
    sha256(data, length, digest);
    for (int i = 0; i < SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    CHECK(strcmp(text, expected) == 0, "%zu bytes: %s, expected %s", length, text, expected);
}

int main(void)
{
    check_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_digest("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");

    const size_t million = 1000000;
    char *many = allocate(million);
    memset(many, 'a', million);
    check_digest(many, million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(many);

    /* Each digest, followed by 0, 1, 2 … n - 1, is the next message: Python's hashlib says what the last one is. */
    uint8_t chain[SHA256_BYTES];
    size_t used = 0;
    for (size_t n = 0; n <= 200; n++) {
        uint8_t *message = allocate(used + n);
        if (used > 0)
            memcpy(message, chain, used);
        for (size_t i = 0; i < n; i++)
            message[used + i] = (uint8_t)i;
        if (n == 200)
            check_digest(message, used + n, "9d966d58fce175d1da74200b8f2b9498b0a7fabc7cd39bb65f82fae11fd8812c");
        sha256(message, used + n, chain);
        used = sizeof chain;
        free(message);
    }
    return 0;
}
