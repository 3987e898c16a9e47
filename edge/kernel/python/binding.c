/* panda_edge._kernel: checks arguments, releases the GIL, calls panda_kernel.h. Only binding*.c see Python. */
#include <string.h>

#include "base/memory.h"
#include "python/binding.h"

static PyObject *usable_levels(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return simd_levels();
}

static PyObject *simd_level(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    panda_simd level;
    panda_status status = panda_simd_current(&level);
    return status == PANDA_OK ? PyUnicode_FromString(panda_simd_name(level)) : outcome(status);
}

static PyObject *force_simd(PyObject *module, PyObject *args)
{
    (void)module;
    const char *name;
    if (!PyArg_ParseTuple(args, "s", &name))
        return NULL;
    for (int level = 0; level < PANDA_SIMD_COUNT; level++)
        if (strcmp(name, panda_simd_name((panda_simd)level)) == 0)
            return outcome(panda_simd_force((panda_simd)level));
    return outcome(PANDA_BAD_SIMD);
}

static PyObject *topk(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *objects[4];
    Py_ssize_t k;
    int threads;
    if (!PyArg_ParseTuple(args, "OOniOO", &objects[0], &objects[1], &k, &threads, &objects[2], &objects[3]))
        return NULL;
    PyObject *result = NULL;
    Py_buffer views[4] = {{0}};
    Py_buffer *queries = &views[0], *bank = &views[1], *distances = &views[2], *indices = &views[3];
    if (!valid_threads(threads) || !get_array(objects[0], "queries", 2, F32, false, queries) ||
        !get_array(objects[1], "bank", 2, F32 | F16, false, bank) ||
        !get_array(objects[2], "distances", 2, F32, true, distances) ||
        !get_array(objects[3], "indices", 2, I64, true, indices))
        goto done;
    size_t q = (size_t)queries->shape[0], n = (size_t)bank->shape[0], d = (size_t)bank->shape[1];
    if (n == 0 || d == 0 || k < 1 || (size_t)k > n) {
        PyErr_Format(PyExc_ValueError, "k: got %zd with a bank of shape (%zu, %zu), expected 1 to %zu", k, n, d, n);
        goto done;
    }
    if (!has_shape(queries, "queries", (size_t[]){q, d}) ||
        !has_shape(distances, "distances", (size_t[]){q, (size_t)k}) ||
        !has_shape(indices, "indices", (size_t[]){q, (size_t)k}))
        goto done;
    panda_status status;
    Py_BEGIN_ALLOW_THREADS status =
        panda_topk(queries->buf, q, bank->buf, dtype_of(bank), n, d, (size_t)k, threads, distances->buf, indices->buf);
    Py_END_ALLOW_THREADS result = outcome(status);
done:
    release(views, 4);
    return result;
}

static bool valid_bands(const Py_buffer *weights, const Py_buffer *first, size_t input, const char *name)
{
    size_t length = (size_t)weights->shape[0], taps = (size_t)weights->shape[1];
    if (!has_shape(first, name, &length))
        return false;
    const int64_t *start = first->buf;
    for (size_t i = 0; i < length; i++)
        if (taps > input || start[i] < 0 || (uint64_t)start[i] > input - taps) {
            PyErr_Format(PyExc_ValueError, "%s: band %zu leaves the %zu input positions", name, i, input);
            return false;
        }
    return true;
}

static PyObject *resample(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *objects[6];
    if (!PyArg_ParseTuple(args, "OOOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4], &objects[5]))
        return NULL;
    PyObject *result = NULL;
    Py_buffer views[6] = {{0}};
    Py_buffer *map = &views[0], *out = &views[5];
    if (!get_array(objects[0], "map", 2, F32, false, map) ||
        !get_array(objects[1], "row weights", 2, F32, false, &views[1]) ||
        !get_array(objects[2], "row starts", 1, I64, false, &views[2]) ||
        !get_array(objects[3], "column weights", 2, F32, false, &views[3]) ||
        !get_array(objects[4], "column starts", 1, I64, false, &views[4]) ||
        !get_array(objects[5], "out", 2, F32, true, out))
        goto done;
    size_t h = (size_t)map->shape[0], w = (size_t)map->shape[1];
    panda_bands bands[2];
    for (int axis = 0; axis < 2; axis++) {
        const Py_buffer *weights = &views[1 + 2 * axis], *first = &views[2 + 2 * axis];
        if (!valid_bands(weights, first, axis ? w : h, axis ? "columns" : "rows"))
            goto done;
        bands[axis] = (panda_bands){weights->buf, first->buf, (size_t)weights->shape[1], (size_t)weights->shape[0]};
    }
    if (!has_shape(out, "out", (size_t[]){bands[0].length, bands[1].length}))
        goto done;
    panda_status status;
    Py_BEGIN_ALLOW_THREADS status = panda_resample(map->buf, h, w, bands[0], bands[1], out->buf);
    Py_END_ALLOW_THREADS result = outcome(status);
done:
    release(views, 6);
    return result;
}

static bool signal_arrived(void *state)
{
    PyThreadState **thread = state;
    PyEval_RestoreThread(*thread);
    bool arrived = PyErr_CheckSignals() != 0;
    *thread = PyEval_SaveThread();
    return arrived;
}

static PyObject *k_centre(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *objects[2];
    Py_ssize_t start;
    int threads;
    if (!PyArg_ParseTuple(args, "OniO", &objects[0], &start, &threads, &objects[1]))
        return NULL;
    PyObject *result = NULL;
    Py_buffer views[2] = {{0}};
    Py_buffer *points = &views[0], *indices = &views[1];
    if (!valid_threads(threads) || !get_array(objects[0], "points", 2, F32 | F16, false, points) ||
        !get_array(objects[1], "indices", 1, I64, true, indices))
        goto done;
    size_t n = (size_t)points->shape[0], d = (size_t)points->shape[1], count = (size_t)indices->shape[0];
    if (d == 0 || count == 0 || count > n || n > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "count: got %zu of points of shape (%zu, %zu), expected 1 to %zu", count, n, d,
                     n);
        goto done;
    }
    if (start < 0 || (size_t)start >= n) {
        PyErr_Format(PyExc_ValueError, "start: got %zd, expected 0 to %zu", start, n - 1);
        goto done;
    }
    PyThreadState *thread = PyEval_SaveThread();
    panda_status status = panda_k_centre(points->buf, dtype_of(points), n, d, count, (size_t)start, threads,
                                         signal_arrived, &thread, indices->buf);
    PyEval_RestoreThread(thread);
    result = outcome(status);
done:
    release(views, 2);
    return result;
}

static PyObject *gaussian_distance(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *objects[4];
    Py_ssize_t rows;
    int triangular, threads;
    if (!PyArg_ParseTuple(args, "OOOnpiO", &objects[0], &objects[1], &objects[2], &rows, &triangular, &threads,
                          &objects[3]))
        return NULL;
    PyObject *result = NULL;
    Py_buffer views[4] = {{0}};
    Py_buffer *x = &views[0], *mean = &views[1], *factors = &views[2], *distances = &views[3];
    if (!valid_threads(threads) || !get_array(objects[0], "x", 2, F32, false, x) ||
        !get_array(objects[1], "mean", 2, F32, false, mean) ||
        !get_array(objects[2], "factors", 2, F32 | F16, false, factors) ||
        !get_array(objects[3], "distances", 1, F32, true, distances))
        goto done;
    size_t positions = (size_t)x->shape[0], d = (size_t)x->shape[1];
    if (d == 0 || d > 1 << 24 || rows < 1 || rows > 1 << 24 || (triangular && (size_t)rows != d)) {
        PyErr_Format(PyExc_ValueError, "factors: got %zd rows for %zu features, expected %s", rows, d,
                     triangular ? "as many" : "1 to 2^24");
        goto done;
    }
    if (!has_shape(mean, "mean", (size_t[]){positions, d}) ||
        !has_shape(factors, "factors", (size_t[]){positions, panda_factor_size((size_t)rows, d, triangular)}) ||
        !has_shape(distances, "distances", &positions))
        goto done;
    panda_status status;
    Py_BEGIN_ALLOW_THREADS status =
        panda_gaussian_distance(x->buf, mean->buf, factors->buf, dtype_of(factors), positions, (size_t)rows, d,
                                triangular, threads, distances->buf);
    Py_END_ALLOW_THREADS result = outcome(status);
done:
    release(views, 4);
    return result;
}

static PyObject *project(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *objects[4];
    int threads;
    if (!PyArg_ParseTuple(args, "OOOiO", &objects[0], &objects[1], &objects[2], &threads, &objects[3]))
        return NULL;
    PyObject *result = NULL;
    Py_buffer views[4] = {{0}};
    Py_buffer *rows = &views[0], *mean = &views[1], *basis = &views[2], *out = &views[3];
    if (!valid_threads(threads) || !get_array(objects[0], "rows", 2, F32, false, rows) ||
        !get_array(objects[1], "mean", 1, F32, false, mean) || !get_array(objects[2], "basis", 2, F32, false, basis) ||
        !get_array(objects[3], "out", 2, F32, true, out))
        goto done;
    size_t n = (size_t)rows->shape[0], d = (size_t)rows->shape[1], p = (size_t)basis->shape[1];
    if (!has_shape(mean, "mean", &d) || !has_shape(basis, "basis", (size_t[]){d, p}) ||
        !has_shape(out, "out", (size_t[]){n, p}))
        goto done;
    panda_status status;
    Py_BEGIN_ALLOW_THREADS status = panda_project(rows->buf, n, d, mean->buf, basis->buf, p, threads, out->buf);
    Py_END_ALLOW_THREADS result = outcome(status);
done:
    release(views, 4);
    return result;
}

static PyObject *allocations(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromSize_t(panda_allocations());
}

static PyMethodDef functions[] = {
    {"simd_level", simd_level, METH_NOARGS, "simd_level() -> str"},
    {"simd_levels", usable_levels, METH_NOARGS, "simd_levels() -> tuple of str"},
    {"force_simd", force_simd, METH_VARARGS, "force_simd(name)"},
    {"allocations", allocations, METH_NOARGS, "allocations() -> int, of the kernels that run once a frame, so far"},
    {"topk", topk, METH_VARARGS, "topk(queries, bank, k, threads, distances, indices)"},
    {"k_centre", k_centre, METH_VARARGS, "k_centre(points, start, threads, indices)"},
    {"gaussian_distance", gaussian_distance, METH_VARARGS,
     "gaussian_distance(x, mean, factors, rows, triangular, threads, distances)"},
    {"averages", averages, METH_VARARGS, "averages(levels, grid_h, grid_w, out)"},
    {"gallery_averages", gallery_averages, METH_VARARGS,
     "gallery_averages(gallery, scales, grid_h, grid_w, threads, out)"},
    {"joint_descriptors", joint_descriptors, METH_VARARGS, "joint_descriptors(levels, grid_h, grid_w, average, out)"},
    {"heatmap_bands", heatmap_bands, METH_VARARGS, "heatmap_bands(sigma, weights, first) -> taps"},
    {"project", project, METH_VARARGS, "project(rows, mean, basis, threads, out)"},
    {"resample", resample, METH_VARARGS, "resample(map, row_weights, row_starts, column_weights, column_starts, out)"},
    {"never_destroy", never_destroy, METH_O, "never_destroy(object)"},
    {"end_without_handlers", end_without_handlers, METH_NOARGS,
     "end_without_handlers(): at its exit the process runs none of the C handlers registered so far (Linux)"},
    {NULL, NULL, 0, NULL},
};

static int add_types(PyObject *module)
{
    PyObject *types[] = {pyramid_type(), flat_type()};
    const char *const names[] = {"Pyramid", "Flat"};
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        if (failed == 0)
            failed = types[i] == NULL ? -1 : PyModule_AddObjectRef(module, names[i], types[i]);
        Py_XDECREF(types[i]);
    }
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, add_types}, {0, NULL}};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    "_kernel",
    "C kernels of panda_edge; use panda_edge.kernel.",
    0,
    functions,
    module_slots,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&module_definition); }
