/* libpanda_edge: a folder whose manifest and arrays somebody else may have written. The first byte says which file the
 * rest is; the others are whole, and the manifest has the file's new size and hash. The folder comes from
 * PANDA_FUZZ_BUNDLE, a small bundle of an exact bank. */
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"
#include "library/sha256.h"
#include "panda_edge.h"

static const char *const NAMES[] = {"manifest.json",
                                    "manifest.json",
                                    "bank/embeddings.npy",
                                    "bank/stride16.npy",
                                    "bank/stride04.npy",
                                    "calibration.npy",
                                    "bank/leave_one_out.npy",
                                    "bank/context_leave_one_out.npy",
                                    "bank/context_stride16.npy"};
enum { FILES = sizeof NAMES / sizeof *NAMES, MOST = 1 << 20 };

static char folder[256];
static uint8_t whole[FILES][MOST];
static size_t lengths[FILES];

static void path_of(const char *root, const char *name, char *path) { snprintf(path, 512, "%s/%s", root, name); }

static void write_file(const char *name, const uint8_t *data, size_t size)
{
    char path[512];
    path_of(folder, name, path);
    FILE *file = fopen(path, "wb");
    require(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0, "a file that can be written");
}

/* A copy of the bundle in memory, where there is a file system in it. */
static void copy_bundle(void)
{
    static const char *const others[] = {"bank/stride08.npy", "bank/context_stride08.npy"};
    const char *from = getenv("PANDA_FUZZ_BUNDLE");
    require(from != NULL, "PANDA_FUZZ_BUNDLE");
    snprintf(folder, sizeof folder, "/dev/shm/panda-fuzz-%d", (int)getpid());
    char path[512];
    path_of(folder, "bank", path);
    require(mkdir(folder, 0700) == 0 && mkdir(path, 0700) == 0, "a folder");
    static uint8_t rest[MOST];
    for (size_t i = 0; i < FILES + sizeof others / sizeof *others; i++) {
        const char *name = i < FILES ? NAMES[i] : others[i - FILES];
        uint8_t *data = i < FILES ? whole[i] : rest;
        path_of(from, name, path);
        FILE *file = fopen(path, "rb");
        require(file != NULL, name);
        size_t length = fread(data, 1, MOST, file);
        fclose(file);
        if (i < FILES)
            lengths[i] = length;
        write_file(name, data, length);
    }
}

/* The whole manifest, but for the size and the hash of one file. */
static void write_manifest(const char *name, const uint8_t *data, size_t size)
{
    static char text[MOST + 1];
    const char *all = (const char *)whole[0], *entry = strstr(all, name);
    require(entry != NULL, "the file in the manifest");
    const char *bytes = strstr(entry, "\"bytes\": ") + 9, *hash = strstr(entry, "\"sha256\": \"") + 11;
    uint8_t digest[SHA256_BYTES];
    sha256(data, size, digest);
    int at =
        snprintf(text, MOST, "%.*s%zu%.*s", (int)(bytes - all), all, size,
                 (int)(hash - bytes - (ptrdiff_t)strspn(bytes, "0123456789")), bytes + strspn(bytes, "0123456789"));
    for (size_t i = 0; i < sizeof digest; i++)
        at += snprintf(text + at, MOST - (size_t)at, "%02x", digest[i]);
    at += snprintf(text + at, MOST - (size_t)at, "%s", hash + 2 * sizeof digest);
    write_file(NAMES[0], (const uint8_t *)text, (size_t)at);
}

static void score(panda_edge_bundle *bundle)
{
    panda_edge_shape shape = panda_edge_shape_of(bundle);
    size_t numbers = shape.embedding_size;
    for (int l = 0; l < shape.level_count; l++)
        numbers += shape.levels[l].cells * shape.levels[l].channels;
    if (numbers > 1000000)
        return;
    float *features = calloc(numbers, sizeof *features), *map = malloc(shape.height * shape.width * sizeof *map);
    require(features != NULL && map != NULL, "memory");
    const float *levels[4], *next = features + shape.embedding_size;
    for (int l = 0; l < shape.level_count; l++) {
        levels[l] = next;
        next += shape.levels[l].cells * shape.levels[l].channels;
    }
    panda_edge_result result;
    panda_edge_error error;
    if (panda_edge_score(bundle, features, levels, &result, map, &error))
        require(result.score >= 0 && (shape.calibration_images == 0 || (result.p_value > 0 && result.p_value <= 1)),
                "a score and a p-value");
    free(features), free(map);
}

static void run(const uint8_t *data, size_t size)
{
    if (*folder == 0)
        copy_bundle();
    if (size == 0)
        return;
    size_t which = data[0] % FILES;
    write_file(NAMES[which], data + 1, size - 1);
    const bool array = strcmp(NAMES[which], NAMES[0]) != 0;
    if (array)
        write_manifest(NAMES[which], data + 1, size - 1);
    panda_edge_error error = {"nothing said"};
    panda_edge_bundle *bundle = panda_edge_open(folder, 1, &error);
    require(bundle != NULL || strchr(error.line, '\n') == NULL, "one line");
    if (bundle != NULL)
        score(bundle);
    panda_edge_close(bundle);
    write_file(NAMES[which], whole[which], lengths[which]);
    if (array)
        write_file(NAMES[0], whole[0], lengths[0]);
}

TARGET(run)
