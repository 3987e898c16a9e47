/* Scores frames by their features: example BUNDLE FEATURES [THREADS]
 *
 * FEATURES holds, frame after frame, the embedding and then the levels, coarse first, as float32 of this machine. A
 * line a frame goes to stdout: score, distance of the embedding, p-value. The heat maps go to FEATURES.maps, float32.
 */
#include <stdio.h>
#include <stdlib.h>

#include "panda_edge.h"

static int fail(const char *line)
{
    fprintf(stderr, "error: %s\n", line);
    return 2;
}

/* Scores every frame of `features`; maps: where the heat maps go. Returns the exit code. */
static int score_all(panda_edge_bundle *bundle, FILE *features, FILE *maps, float *frame, size_t numbers,
                     float *heatmap)
{
    panda_edge_shape shape = panda_edge_shape_of(bundle);
    while (fread(frame, sizeof *frame, numbers, features) == numbers) {
        const float *levels[4], *next = frame + shape.embedding_size;
        for (int l = 0; l < shape.level_count; l++) {
            levels[l] = next;
            next += shape.levels[l].cells * shape.levels[l].channels;
        }
        panda_edge_result result;
        panda_edge_error error;
        if (!panda_edge_score(bundle, frame, levels, &result, heatmap, &error))
            return fail(error.line);
        printf("%.9g %.9g %.17g\n", (double)result.score, (double)result.embedding_distance, result.p_value);
        if (fwrite(heatmap, sizeof *heatmap, shape.height * shape.width, maps) != shape.height * shape.width)
            return fail("FEATURES.maps cannot be written");
    }
    return 0;
}

int main(int count, char **arguments)
{
    if (count < 3)
        return fail("usage: example BUNDLE FEATURES [THREADS]");
    panda_edge_error error;
    panda_edge_bundle *bundle = panda_edge_open(arguments[1], count > 3 ? atoi(arguments[3]) : 1, &error);
    if (bundle == NULL)
        return fail(error.line);
    panda_edge_shape shape = panda_edge_shape_of(bundle);
    size_t numbers = shape.embedding_size;
    for (int l = 0; l < shape.level_count; l++)
        numbers += shape.levels[l].cells * shape.levels[l].channels;

    char maps_name[4096];
    snprintf(maps_name, sizeof maps_name, "%s.maps", arguments[2]);
    FILE *features = fopen(arguments[2], "rb"), *maps = fopen(maps_name, "wb");
    float *frame = malloc(numbers * sizeof *frame), *heatmap = malloc(shape.height * shape.width * sizeof *heatmap);
    int code;
    if (features == NULL || maps == NULL || frame == NULL || heatmap == NULL)
        code = fail("FEATURES cannot be read, FEATURES.maps not written, or memory is short");
    else
        code = score_all(bundle, features, maps, frame, numbers, heatmap);
    free(frame);
    free(heatmap);
    if (features != NULL)
        fclose(features);
    if (maps != NULL && fclose(maps) != 0 && code == 0)
        code = fail("FEATURES.maps cannot be written");
    panda_edge_close(bundle);
    return code;
}
