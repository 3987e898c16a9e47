#include "library/npy.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "library/regular.h"

enum { HEADER = 10, MOST_HEADER = 4096 };

/* Where the numbers begin, 0 where the file does not begin with this dtype and shape. */
static size_t data_offset(const uint8_t *file, size_t length, const char *dtype, const size_t *shape, int dimensions)
{
    if (length < HEADER || memcmp(file, "\x93NUMPY\x01\x00", 8) != 0)
        return 0;
    size_t header = file[8] | (size_t)file[9] << 8;
    if (header > MOST_HEADER || HEADER + header > length)
        return 0;
    /* numpy writes a header in one way only, but for the blanks at its end. */
    char expected[256];
    int at = snprintf(expected, sizeof expected, "{'descr': '%s', 'fortran_order': False, 'shape': (", dtype);
    for (int i = 0; i < dimensions; i++)
        at += snprintf(expected + at, sizeof expected - (size_t)at, i ? ", %zu" : "%zu", shape[i]);
    at += snprintf(expected + at, sizeof expected - (size_t)at, dimensions == 1 ? ",), }" : "), }");
    const char *text = (const char *)file + HEADER;
    if ((size_t)at >= header || memcmp(text, expected, (size_t)at) != 0)
        return 0;
    for (size_t i = (size_t)at; i + 1 < header; i++)
        if (text[i] != ' ')
            return 0;
    return HEADER + header;
}

/* The whole file, as long as the manifest says. */
static bool map_file(const char *path, const panda_file *expected, npy_array *array, panda_edge_error *error)
{
    size_t length = 0;
    int file = open_regular(path, &length, error);
    if (file < 0)
        return false;
    if (length != expected->bytes || length == 0) {
        close_regular(file);
        return panda_edge_fail(error, "%s: %zu bytes, the manifest says %zu; copy the bundle again", path, length,
                               expected->bytes);
    }
    array->length = expected->bytes;
    array->map = map_regular(file, array->length);
    close_regular(file);
    return array->map != NULL || panda_edge_fail(error, "%s: cannot be mapped (%s)", path, strerror(errno));
}

bool npy_map(const panda_source *source, const char *name, const char *dtype, const size_t *shape, int dimensions,
             npy_array *array, panda_edge_error *error)
{
    char path[4096];
    panda_file expected;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", source->folder, name) >= sizeof path)
        return panda_edge_fail(error, "%.100s…: a name too long", source->folder);
    if (!manifest_file(source, name, &expected, error) || !map_file(path, &expected, array, error))
        return false;
    uint8_t found[SHA256_BYTES];
    sha256(array->map, array->length, found);
    if (memcmp(found, expected.sha256, sizeof found) != 0) {
        npy_unmap(array);
        return panda_edge_fail(error, "%s: its sha256 is not the manifest's; altered or damaged, copy it again", path);
    }
    size_t begin = data_offset(array->map, array->length, dtype, shape, dimensions);
    size_t bytes = (size_t)(dtype[2] - '0');
    bool too_large = false;
    for (int i = 0; i < dimensions; i++)
        too_large |= __builtin_mul_overflow(bytes, shape[i], &bytes);
    if (begin == 0 || too_large || array->length - begin != bytes) {
        npy_unmap(array);
        return panda_edge_fail(error, "%s: not the array of %s that the manifest says; copy the bundle again", path,
                               dtype);
    }
    array->data = (const uint8_t *)array->map + begin;
    return true;
}

void npy_unmap(npy_array *array)
{
    if (array->map != NULL)
        unmap_regular(array->map, array->length);
    *array = (npy_array){NULL, 0, NULL};
}
