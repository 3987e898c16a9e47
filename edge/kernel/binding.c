/* panda_edge._kernel: checks arguments, releases the GIL, calls panda_kernel.h. The only file that sees Python. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <string.h>

#include "memory.h"
#include "panda_kernel.h"

enum { F32 = 1, F16 = 2, I64 = 4 }; /* what an argument may hold */

static const char *type_names(int allowed)
{
    switch (allowed) {
    case F32:
        return "float32";
    case F32 | F16:
        return "float32 or float16";
    default:
        return "int64";
    }
}

static int type_of(const Py_buffer *view)
{
    const char *format = view->format ? view->format : "B";
    if (*format == '@' || *format == '=')
        format++;
    if (strlen(format) != 1)
        return 0;
    if (*format == 'f' && view->itemsize == 4)
        return F32;
    if (*format == 'e' && view->itemsize == 2)
        return F16;
    return (*format == 'l' || *format == 'q') && view->itemsize == 8 ? I64 : 0;
}

/* Fills view with the buffer of a C-contiguous array of `ndim` dimensions, or sets an error and returns false.
 * A view that was filled must be released. */
static bool get_array(PyObject *object, const char *name, int ndim, int allowed, bool writable, Py_buffer *view)
{
    int flags = PyBUF_FORMAT | PyBUF_STRIDES | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) != 0) {
        view->obj = NULL;
        return false;
    }
    if (!(type_of(view) & allowed))
        PyErr_Format(PyExc_TypeError, "%s: got items of format '%s', expected %s", name,
                     view->format ? view->format : "B", type_names(allowed));
    else if (view->ndim != ndim)
        PyErr_Format(PyExc_ValueError, "%s: got %d dimensions, expected %d", name, view->ndim, ndim);
    else if (!PyBuffer_IsContiguous(view, 'C'))
        PyErr_Format(PyExc_ValueError, "%s: rows must be contiguous, try numpy.ascontiguousarray", name);
    else if ((uintptr_t)view->buf % (size_t)view->itemsize != 0)
        PyErr_Format(PyExc_ValueError, "%s: data is not aligned to its %zd-byte items, copy it first", name,
                     view->itemsize);
    else
        return true;
    PyBuffer_Release(view);
    view->obj = NULL;
    return false;
}

static void release(Py_buffer *views, int count)
{
    for (int i = 0; i < count; i++)
        if (views[i].obj != NULL)
            PyBuffer_Release(&views[i]);
}

static bool has_shape(const Py_buffer *view, const char *name, const size_t *shape)
{
    for (int i = 0; i < view->ndim; i++)
        if ((size_t)view->shape[i] != shape[i]) {
            PyErr_Format(PyExc_ValueError, "%s: got length %zd on axis %d, expected %zu", name, view->shape[i], i,
                         shape[i]);
            return false;
        }
    return true;
}

static panda_dtype dtype_of(const Py_buffer *view) { return type_of(view) == F16 ? PANDA_F16 : PANDA_F32; }

static bool valid_threads(int threads)
{
    if (threads >= 1 && threads <= PANDA_MAX_THREADS)
        return true;
    PyErr_Format(PyExc_ValueError, "threads: got %d, expected 1 to %d", threads, (int)PANDA_MAX_THREADS);
    return false;
}

static PyObject *simd_levels(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    PyObject *names = PyList_New(0);
    for (int level = 0; names != NULL && level < PANDA_SIMD_COUNT; level++) {
        if (!panda_simd_usable((panda_simd)level))
            continue;
        PyObject *name = PyUnicode_FromString(panda_simd_name((panda_simd)level));
        if (name == NULL || PyList_Append(names, name) != 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    PyObject *result = names ? PyList_AsTuple(names) : NULL;
    Py_XDECREF(names);
    return result;
}

/* Turns a status into None, or into an exception. */
static PyObject *outcome(panda_status status)
{
    if (status == PANDA_OK)
        Py_RETURN_NONE;
    if (status == PANDA_NO_MEMORY)
        return PyErr_NoMemory();
    if (status == PANDA_INTERRUPTED)
        return NULL; /* the signal handler has raised */
    if (status == PANDA_NOT_FINITE)
        return PyErr_Format(PyExc_ValueError, "points: got NaN or infinity, expected finite values");
    PyObject *usable = simd_levels(NULL, NULL);
    if (usable != NULL)
        PyErr_Format(PyExc_ValueError, "PANDA_SIMD: this CPU cannot run the level asked for; it has %R", usable);
    Py_XDECREF(usable);
    return NULL;
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

static PyObject *allocations(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromSize_t(panda_allocations());
}

/* --- the Pyramid type ------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD panda_pyramid *pyramid;
    Py_buffer gallery[PANDA_MAX_LEVELS];
    int level_count;
    size_t images, cells, height, width;
    bool nested, busy;
} PyramidObject;

static int pyramid_setup(PyramidObject *self, PyObject *arrays, Py_ssize_t grid_h, Py_ssize_t grid_w, int nested)
{
    Py_ssize_t count = PySequence_Size(arrays);
    if (count < 0)
        return -1;
    if (count < 1 || count > PANDA_MAX_LEVELS) {
        PyErr_Format(PyExc_ValueError, "gallery: got %zd levels, expected 1 to %d", count, (int)PANDA_MAX_LEVELS);
        return -1;
    }
    if (grid_h < 1 || grid_w < 1 || grid_h > 65535 || grid_w > 65535) {
        PyErr_Format(PyExc_ValueError, "grid: got %zd x %zd, expected 1 to 65535 each", grid_h, grid_w);
        return -1;
    }
    self->level_count = (int)count;
    self->nested = nested;
    self->cells = (size_t)grid_h * (size_t)grid_w;
    self->height = (size_t)grid_h << (count - 1);
    self->width = (size_t)grid_w << (count - 1);
    panda_level levels[PANDA_MAX_LEVELS];
    for (int l = 0; l < count; l++) {
        PyObject *array = PySequence_GetItem(arrays, l);
        if (array == NULL)
            return -1;
        Py_buffer *view = &self->gallery[l];
        bool good = get_array(array, "gallery", nested ? 3 : 2, F32 | F16, false, view);
        Py_DECREF(array);
        if (!good)
            return -1;
        if (l == 0)
            self->images = (size_t)view->shape[0];
        size_t channels = (size_t)view->shape[view->ndim - 1];
        size_t nested_shape[3] = {self->images, self->cells << (2 * l), channels};
        size_t flat_shape[2] = {self->images, channels};
        if (!has_shape(view, "gallery", nested ? nested_shape : flat_shape))
            return -1;
        if (self->images == 0 || channels == 0) {
            PyErr_SetString(PyExc_ValueError, "gallery: got an empty array, expected at least one row and channel");
            return -1;
        }
        levels[l] = (panda_level){view->buf, channels, dtype_of(view)};
    }
    self->pyramid = panda_pyramid_new(levels, (int)count, self->images, (size_t)grid_h, (size_t)grid_w, nested);
    if (self->pyramid == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static PyObject *pyramid_create(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *arrays;
    Py_ssize_t grid_h, grid_w;
    int nested;
    if (keywords != NULL && PyDict_Size(keywords) != 0) {
        PyErr_SetString(PyExc_TypeError, "Pyramid takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "Onnp", &arrays, &grid_h, &grid_w, &nested))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyramidObject *self = (PyramidObject *)allocate(type, 0);
    if (self != NULL && pyramid_setup(self, arrays, grid_h, grid_w, nested) != 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void pyramid_destroy(PyObject *object)
{
    PyramidObject *self = (PyramidObject *)object;
    PyTypeObject *type = Py_TYPE(object);
    panda_pyramid_free(self->pyramid);
    release(self->gallery, PANDA_MAX_LEVELS);
    freefunc dispose = (freefunc)PyType_GetSlot(type, Py_tp_free);
    dispose(object);
    Py_DECREF(type);
}

static bool valid_images(const Py_buffer *chosen, size_t images)
{
    const int64_t *number = chosen->buf;
    if (chosen->shape[0] == 0) {
        PyErr_SetString(PyExc_ValueError, "images: got none, expected at least one (or None for all)");
        return false;
    }
    for (Py_ssize_t i = 0; i < chosen->shape[0]; i++)
        if (number[i] < 0 || (uint64_t)number[i] >= images) {
            PyErr_Format(PyExc_ValueError, "images: got %lld, expected 0 to %zu", (long long)number[i], images - 1);
            return false;
        }
    return true;
}

static PyObject *pyramid_nearest(PyObject *object, PyObject *args)
{
    PyramidObject *self = (PyramidObject *)object;
    PyObject *arrays, *images, *outputs[2];
    float epsilon;
    int threads;
    if (!PyArg_ParseTuple(args, "OOfiOO", &arrays, &images, &epsilon, &threads, &outputs[0], &outputs[1]))
        return NULL;
    if (!(epsilon >= 0) || isinf(epsilon))
        return PyErr_Format(PyExc_ValueError, "epsilon: expected a finite number >= 0");
    if (!valid_threads(threads))
        return NULL;
    if (PySequence_Size(arrays) != self->level_count)
        return PyErr_Occurred() ? NULL
                                : PyErr_Format(PyExc_ValueError, "query: got %zd levels, expected %d",
                                               PySequence_Size(arrays), self->level_count);
    if (self->busy)
        return PyErr_Format(PyExc_RuntimeError, "this search object is in use by another thread, make one each");
    self->busy = true; /* set and read under the GIL */
    PyObject *result = NULL;
    Py_buffer query[PANDA_MAX_LEVELS] = {{0}}, others[3] = {{0}};
    Py_buffer *chosen = &others[0], *distances = &others[1], *indices = &others[2];
    const float *rows[PANDA_MAX_LEVELS];
    for (int l = 0; l < self->level_count; l++) {
        PyObject *array = PySequence_GetItem(arrays, l);
        bool good = array != NULL && get_array(array, "query", 2, F32, false, &query[l]);
        Py_XDECREF(array);
        size_t channels = (size_t)self->gallery[l].shape[self->gallery[l].ndim - 1];
        if (!good || !has_shape(&query[l], "query", (size_t[]){self->cells << (2 * l), channels}))
            goto done;
        rows[l] = query[l].buf;
    }
    size_t shape[2] = {self->height, self->width};
    if (!get_array(outputs[0], "distances", 2, F32, true, distances) || !has_shape(distances, "distances", shape) ||
        !get_array(outputs[1], "indices", 2, I64, true, indices) || !has_shape(indices, "indices", shape))
        goto done;
    if (images != Py_None &&
        (!get_array(images, "images", 1, I64, false, chosen) || !valid_images(chosen, self->images)))
        goto done;
    panda_status status;
    const int64_t *numbers = chosen->obj ? chosen->buf : NULL;
    size_t count = chosen->obj ? (size_t)chosen->shape[0] : 0;
    Py_BEGIN_ALLOW_THREADS status =
        panda_pyramid_nearest(self->pyramid, rows, numbers, count, epsilon, threads, distances->buf, indices->buf);
    Py_END_ALLOW_THREADS result = outcome(status);
done:
    release(query, PANDA_MAX_LEVELS);
    release(others, 3);
    self->busy = false;
    return result;
}

static PyMethodDef pyramid_methods[] = {
    {"nearest", pyramid_nearest, METH_VARARGS, "nearest(query, images, epsilon, threads, distances, indices)"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot pyramid_slots[] = {
    {Py_tp_new, pyramid_create},
    {Py_tp_dealloc, pyramid_destroy},
    {Py_tp_methods, pyramid_methods},
    {Py_tp_doc, "Pyramid(gallery, grid_h, grid_w, nested)"},
    {0, NULL},
};

static PyType_Spec pyramid_spec = {"panda_edge._kernel.Pyramid", sizeof(PyramidObject), 0, Py_TPFLAGS_DEFAULT,
                                   pyramid_slots};

static PyMethodDef functions[] = {
    {"simd_level", simd_level, METH_NOARGS, "simd_level() -> str"},
    {"simd_levels", simd_levels, METH_NOARGS, "simd_levels() -> tuple of str"},
    {"force_simd", force_simd, METH_VARARGS, "force_simd(name)"},
    {"allocations", allocations, METH_NOARGS, "allocations() -> int, of the kernels that run once a frame, so far"},
    {"topk", topk, METH_VARARGS, "topk(queries, bank, k, threads, distances, indices)"},
    {"k_centre", k_centre, METH_VARARGS, "k_centre(points, start, threads, indices)"},
    {"gaussian_distance", gaussian_distance, METH_VARARGS,
     "gaussian_distance(x, mean, factors, rows, triangular, threads, distances)"},
    {"resample", resample, METH_VARARGS, "resample(map, row_weights, row_starts, column_weights, column_starts, out)"},
    {NULL, NULL, 0, NULL},
};

static int add_types(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&pyramid_spec);
    int failed = type == NULL ? -1 : PyModule_AddObjectRef(module, "Pyramid", type);
    Py_XDECREF(type);
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
