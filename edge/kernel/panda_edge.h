/* libpanda_edge: a bundle that `panda-train fit` made, used from C or C++ without Python.
 *
 * It takes the backbone's features (of onnxruntime's C API, say, run on the bundle's model.onnx) and gives what
 * `panda-edge segment` gives: score, heat map, p-value. Banks `exact` and `gaussian`, of pictures that are one frame;
 * other bundles are refused in one line. What is read has the SHA-256 that the manifest says; signatures are not
 * checked here: run `panda-edge verify --key PUB` where the bundle arrives. Numbers are the same as Python's but for
 * the order of a few sums (about 1e-6 of their size).
 */
#ifndef PANDA_EDGE_H
#define PANDA_EDGE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of an error's line, its final zero among them. */
enum { PANDA_EDGE_LINE = 512 };

/* Why something failed: one line, ended by a zero. Written only where a function says that it failed. */
typedef struct {
    char line[PANDA_EDGE_LINE];
} panda_edge_error;

/* An opened bundle; only the functions below look into it. */
typedef struct panda_edge_bundle panda_edge_bundle;

/* One feature map, coarse first: `cells` rows of `channels` numbers in nested order, as model.onnx gives them. */
typedef struct {
    size_t cells, channels;
} panda_edge_level;

/* What a bundle expects of a frame, and gives for it. */
typedef struct {
    size_t height, width; /* of the model's input and of the heat map, pixels */
    size_t embedding_size;
    int level_count; /* 1 to 4 */
    panda_edge_level levels[4];
    size_t calibration_images; /* 0: the bundle is not calibrated */
} panda_edge_shape;

/* What is found in one frame, beside its heat map. */
typedef struct {
    float score;              /* the image score that decides, by the bundle's rule; higher = more anomalous */
    float embedding_distance; /* mean squared distance of the embedding to the nearest normal ones */
    double p_value; /* share of normal images that score at least as high, 1 / (n + 1) to 1; NaN: not calibrated */
} panda_edge_result;

/* Opens NAME.panda. Its arrays are mapped, and read once to check their hashes. threads: of a search, 1 to 256. Returns
 * NULL and writes a line on failure. */
panda_edge_bundle *panda_edge_open(const char *path, int threads, panda_edge_error *error);

/* Closes a bundle and unmaps its arrays. NULL is allowed. */
void panda_edge_close(panda_edge_bundle *bundle);

/* The sizes of a bundle's arrays: how much room features and heat map need. */
panda_edge_shape panda_edge_shape_of(const panda_edge_bundle *bundle);

/* Scores one frame by its features. embedding: (embedding_size,); levels[l]: (cells, channels). heatmap: room for
 * (height, width), row by row. Returns false and writes a line on failure. One thread at a time may use a bundle. */
bool panda_edge_score(panda_edge_bundle *bundle, const float *embedding, const float *const *levels,
                      panda_edge_result *result, float *heatmap, panda_edge_error *error);

#ifdef __cplusplus
}
#endif

#endif
