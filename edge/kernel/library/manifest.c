#include "library/manifest.h"

#include <stdio.h>
#include <string.h>

enum { WORD = 64, HASH_WORD = 2 * SHA256_BYTES + 1, FORMAT_VERSION = 6 };
static const int64_t MOST = 1000000000;

static bool present(const json_text *json, int object, const char *name)
{
    return json_value(json, object, name) != JSON_NONE;
}

static bool read_levels(const json_text *json, panda_manifest *m, panda_edge_error *error)
{
    int levels = json_value(json, JSON_TOP, "levels"), count = 0;
    while (count <= PANDA_MAX_LEVELS && json_item(json, levels, count) != JSON_NONE)
        count++;
    if (count < 1 || count > PANDA_MAX_LEVELS)
        return panda_edge_fail(error, "manifest.json: levels: expected 1 to %d", (int)PANDA_MAX_LEVELS);
    m->shape.level_count = count;
    for (int l = 0; l < count; l++) {
        int level = json_item(json, levels, l);
        size_t stride, height, width;
        if (!json_whole(json, level, "stride", 1, MOST, &stride, error) ||
            !json_whole(json, level, "height", 1, MOST, &height, error) ||
            !json_whole(json, level, "width", 1, MOST, &width, error) ||
            !json_whole(json, level, "channels", 1, 1 << 20, &m->shape.levels[l].channels, error))
            return false;
        if (l == 0)
            m->grid_h = height, m->grid_w = width;
        if (height * stride != m->shape.height || width * stride != m->shape.width || height != m->grid_h << l ||
            width != m->grid_w << l)
            return panda_edge_fail(error,
                                   "manifest.json: levels: %zux%zu cells of stride %zu are not twice the one "
                                   "before, or do not cover the input",
                                   height, width, stride);
        m->strides[l] = stride;
        m->shape.levels[l].cells = height * width;
    }
    return true;
}

static bool read_preprocessing(const json_text *json, panda_manifest *m, panda_edge_error *error)
{
    int object = json_value(json, JSON_TOP, "preprocessing");
    char resize[WORD];
    if (!json_whole(json, object, "height", 16, 4096, &m->shape.height, error) ||
        !json_whole(json, object, "width", 16, 4096, &m->shape.width, error) ||
        !json_string(json, object, "resize", resize, sizeof resize, error))
        return false;
    if (present(json, object, "tiles"))
        return panda_edge_fail(error, "a bundle of tiles: libpanda_edge takes pictures that are one frame");
    if (strcmp(resize, "squash") != 0 && strcmp(resize, "crop") != 0)
        return panda_edge_fail(error, "preprocessing.resize is %s: libpanda_edge takes squash and crop", resize);
    return json_whole(json, JSON_TOP, "embedding_size", 1, MOST, &m->shape.embedding_size, error);
}

static bool read_detection(const json_text *json, panda_manifest *m, panda_edge_error *error)
{
    int object = json_value(json, JSON_TOP, "detection");
    char bank[WORD], scoring[WORD] = "knn";
    if (!json_string(json, object, "bank", bank, sizeof bank, error) ||
        (present(json, object, "scoring") && !json_string(json, object, "scoring", scoring, sizeof scoring, error)) ||
        !json_whole(json, object, "count", 1, MOST, &m->vectors, error) ||
        !json_whole(json, object, "knn", 1, (int64_t)m->vectors, &m->knn, error))
        return false;
    if (strcmp(bank, "exact") != 0 && strcmp(bank, "kmeans") != 0)
        return panda_edge_fail(error,
                               "detection.bank is %s: libpanda_edge takes exact and kmeans "
                               "(fit with --embeddings exact)",
                               bank);
    if (strcmp(scoring, "knn") != 0)
        return panda_edge_fail(error, "detection.scoring is %s: libpanda_edge scores by the bank alone", scoring);
    return true;
}

static bool read_dtype(const char *name, panda_manifest *m, panda_edge_error *error)
{
    static const char *const names[] = {[PANDA_F32] = "float32", [PANDA_F16] = "float16", [PANDA_U8] = "uint8"};
    for (int dtype = PANDA_F32; dtype <= PANDA_U8; dtype++)
        if (strcmp(name, names[dtype]) == 0 && !(m->gaussian && dtype == PANDA_U8)) {
            m->dtype = (panda_dtype)dtype;
            return true;
        }
    return panda_edge_fail(error, "segmentation.dtype is %s: not one of this bank's", name);
}

/* Steps read their own parameters (steps.c); here, only whether a bank like this may have them. */
static bool find_steps(const json_text *json, int segmentation, panda_manifest *m, panda_edge_error *error)
{
    static const char *const older[] = {"discount", "evened", "wide"}; /* before anything was released */
    for (size_t i = 0; i < sizeof older / sizeof *older; i++)
        if (json_value(json, segmentation, older[i]) != JSON_NONE)
            return panda_edge_fail(
                error, "manifest.json: segmentation: %s is a field of older bundles; fit the bundle again", older[i]);
    m->steps = json_value(json, segmentation, "steps");
    if (m->steps != JSON_NONE && !json_is_list(json, m->steps))
        return panda_edge_fail(error, "manifest.json: segmentation: steps is not a list");
    if (m->gaussian && json_item(json, m->steps, 0) != JSON_NONE)
        return panda_edge_fail(error, "manifest.json: segmentation: steps of a gaussian bank; expected an exact one");
    return true;
}

static bool read_segmentation(const json_text *json, panda_manifest *m, panda_edge_error *error)
{
    int object = json_value(json, JSON_TOP, "segmentation");
    char bank[WORD], dtype[WORD];
    size_t window = 0, channels = 0;
    m->window = PANDA_EVERYWHERE;
    m->average = 1;
    for (int l = 0; l < m->shape.level_count; l++)
        channels += m->shape.levels[l].channels;
    if (!json_string(json, object, "bank", bank, sizeof bank, error) ||
        !json_string(json, object, "dtype", dtype, sizeof dtype, error) ||
        !json_whole(json, object, "count", 1, MOST, &m->images, error) ||
        !json_whole(json, object, "neighbors", 1, MOST, &m->neighbors, error) ||
        !json_number(json, object, "sigma", 0, 100, &m->sigma, error) ||
        (present(json, object, "average") && !json_whole(json, object, "average", 1, 99, &m->average, error)) ||
        (present(json, object, "rank") && !json_whole(json, object, "rank", 1, (int64_t)channels, &m->rank, error)) ||
        (present(json, object, "window") && !json_whole(json, object, "window", 0, 65535, &window, error)))
        return false;
    m->gaussian = strcmp(bank, "gaussian") == 0;
    if (!m->gaussian && strcmp(bank, "exact") != 0)
        return panda_edge_fail(error, "segmentation.bank is %s: libpanda_edge takes exact and gaussian", bank);
    if (m->average % 2 == 0)
        return panda_edge_fail(error, "manifest.json: segmentation: average is %zu, expected an odd number",
                               m->average);
    if (!find_steps(json, object, m, error))
        return false;
    if (!m->gaussian && m->images != m->vectors)
        return panda_edge_fail(error, "manifest.json: %zu images in one bank and %zu in the other", m->images,
                               m->vectors);
    if (present(json, object, "window"))
        m->window = (int32_t)window;
    return read_dtype(dtype, m, error);
}

static bool read_decision(const json_text *json, panda_manifest *m, panda_edge_error *error)
{
    static const char *const names[] = {
        [PANDA_EMBEDDING] = "embedding", [PANDA_MAXIMUM] = "max", [PANDA_TOP1] = "top1", [PANDA_LOCAL] = "local"};
    int calibration = json_value(json, JSON_TOP, "calibration");
    char name[WORD];
    int decision = json_value(json, JSON_TOP, "decision");
    if (!json_string(json, decision, "score", name, sizeof name, error) ||
        !json_number(json, decision, "sigma", 0, 100, &m->sharp, error) ||
        (calibration != JSON_NONE &&
         !json_whole(json, calibration, "images", 1, MOST, &m->shape.calibration_images, error)))
        return false;
    for (int rule = PANDA_EMBEDDING; rule <= PANDA_LOCAL; rule++)
        if (strcmp(name, names[rule]) == 0) {
            /* Nothing says what is usual where there is no calibration. */
            m->rule = rule == PANDA_LOCAL && calibration == JSON_NONE ? PANDA_MAXIMUM : (panda_rule)rule;
            return true;
        }
    return panda_edge_fail(error, "decision.score is %s: libpanda_edge takes local, max, top1 and embedding", name);
}

bool manifest_file(const panda_source *source, const char *name, panda_file *file, panda_edge_error *error)
{
    const json_text *json = &source->json;
    const int entry = json_value(json, json_value(json, JSON_TOP, "files"), name);
    char word[HASH_WORD];
    if (entry == JSON_NONE)
        return panda_edge_fail(error, "manifest.json: files: %s is missing; export the bundle again", name);
    if (!json_whole(json, entry, "bytes", 0, INT64_MAX / 2, &file->bytes, error) ||
        !json_string(json, entry, "sha256", word, sizeof word, error))
        return false;
    for (int i = 0; i < SHA256_BYTES; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *high = word[2 * i] ? strchr(digits, word[2 * i]) : NULL;
        const char *low = high && word[2 * i + 1] ? strchr(digits, word[2 * i + 1]) : NULL;
        if (low == NULL)
            return panda_edge_fail(error, "manifest.json: files: sha256 of %s is not 64 small hexadecimal digits",
                                   name);
        file->sha256[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}

bool manifest_read(panda_source *source, panda_manifest *manifest, panda_edge_error *error)
{
    *manifest = (panda_manifest){0};
    source->json = (json_text){NULL, NULL, 0};
    char path[4096], magic[WORD];
    if ((size_t)snprintf(path, sizeof path, "%s/manifest.json", source->folder) >= sizeof path)
        return panda_edge_fail(error, "%.100s…: a name too long", source->folder);
    const json_text *json = &source->json;
    size_t version;
    bool good = json_read(path, &source->json, error) &&
                json_string(json, JSON_TOP, "magic", magic, sizeof magic, error) &&
                json_whole(json, JSON_TOP, "format_version", 0, MOST, &version, error);
    if (good && strcmp(magic, "panda-edge bundle") != 0)
        good = panda_edge_fail(error, "%s: magic is %s; not a panda-edge bundle", path, magic);
    if (good && version != FORMAT_VERSION)
        good = panda_edge_fail(error, "%s: format version %zu, this library reads %d; fit the bundle again", path,
                               version, (int)FORMAT_VERSION);
    if (good && present(json, JSON_TOP, "roi"))
        good =
            panda_edge_fail(error, "a bundle that looks in a region of interest: libpanda_edge takes whole pictures");
    good = good && read_preprocessing(json, manifest, error) && read_levels(json, manifest, error) &&
           read_detection(json, manifest, error) && read_segmentation(json, manifest, error) &&
           read_decision(json, manifest, error);
    return good;
}
