/* The type Pyramid: holds on to the arrays of a gallery, which are read in place. */

#include "python/binding.h"

enum { IDLE_MOST = 16 }; /* further ones are freed after use */

/* A panda_pyramid serves one thread at a time: each call takes an idle one, or makes another over the same arrays. */
typedef struct {
    PyObject_HEAD panda_pyramid *idle[IDLE_MOST];
    int idle_count; /* changed under the GIL */
    panda_level level[PANDA_MAX_LEVELS];
    Py_buffer gallery[PANDA_MAX_LEVELS], scales[PANDA_MAX_LEVELS];
    int level_count;
    size_t images, cells, grid_h, grid_w, height, width;
    bool nested;
} PyramidObject;

/* Offset and scale of each row of level l, where it is of bytes; there is no such array where it is not. */
static bool get_scales(PyramidObject *self, PyObject *arrays, int l)
{
    Py_buffer *view = &self->scales[l];
    PyObject *array = PySequence_GetItem(arrays, l);
    if (array == NULL)
        return false;
    bool wanted = dtype_of(&self->gallery[l]) == PANDA_U8, good = true;
    if (wanted)
        good = get_array(array, "scales", self->nested ? 3 : 2, F32, false, view);
    else if (array != Py_None) {
        PyErr_SetString(PyExc_ValueError, "scales: got some for a level that is not uint8, expected None");
        good = false;
    }
    Py_DECREF(array);
    const size_t nested[3] = {self->images, self->cells << (2 * l), 2}, flat[2] = {self->images, 2};
    return good && (!wanted || has_shape(view, "scales", self->nested ? nested : flat));
}

/* NULL with an exception set when memory is short. */
static panda_pyramid *take_pyramid(PyramidObject *self)
{
    if (self->idle_count > 0)
        return self->idle[--self->idle_count];
    panda_pyramid *made =
        panda_pyramid_new(self->level, self->level_count, self->images, self->grid_h, self->grid_w, self->nested);
    if (made == NULL)
        PyErr_NoMemory();
    return made;
}

static void give_back(PyramidObject *self, panda_pyramid *pyramid)
{
    if (self->idle_count < IDLE_MOST)
        self->idle[self->idle_count++] = pyramid;
    else
        panda_pyramid_free(pyramid);
}

static int pyramid_setup(PyramidObject *self, PyObject *arrays, PyObject *scales, Py_ssize_t grid_h, Py_ssize_t grid_w,
                         int nested)
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
    self->grid_h = (size_t)grid_h;
    self->grid_w = (size_t)grid_w;
    self->cells = self->grid_h * self->grid_w;
    self->height = (size_t)grid_h << (count - 1);
    self->width = (size_t)grid_w << (count - 1);
    for (int l = 0; l < count; l++) {
        PyObject *array = PySequence_GetItem(arrays, l);
        if (array == NULL)
            return -1;
        Py_buffer *view = &self->gallery[l];
        bool good = get_array(array, "gallery", nested ? 3 : 2, F32 | F16 | U8, false, view);
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
        if (!get_scales(self, scales, l))
            return -1;
        self->level[l] = (panda_level){{view->buf, self->scales[l].buf, dtype_of(view)}, channels};
    }
    panda_pyramid *first = take_pyramid(self);
    if (first == NULL)
        return -1;
    give_back(self, first);
    return 0;
}

static PyObject *pyramid_create(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *arrays, *scales;
    Py_ssize_t grid_h, grid_w;
    int nested;
    if (keywords != NULL && PyDict_Size(keywords) != 0) {
        PyErr_SetString(PyExc_TypeError, "Pyramid takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "OOnnp", &arrays, &scales, &grid_h, &grid_w, &nested))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyramidObject *self = (PyramidObject *)allocate(type, 0);
    if (self != NULL && pyramid_setup(self, arrays, scales, grid_h, grid_w, nested) != 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void pyramid_destroy(PyObject *object)
{
    PyramidObject *self = (PyramidObject *)object;
    PyTypeObject *type = Py_TYPE(object);
    while (self->idle_count > 0)
        panda_pyramid_free(self->idle[--self->idle_count]);
    release(self->gallery, PANDA_MAX_LEVELS);
    release(self->scales, PANDA_MAX_LEVELS);
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
    PyObject *arrays, *images, *cells, *outputs[2];
    float enough, epsilon;
    int window, threads;
    if (!PyArg_ParseTuple(args, "OOOiffiOO", &arrays, &images, &cells, &window, &enough, &epsilon, &threads,
                          &outputs[0], &outputs[1]))
        return NULL;
    if (window < PANDA_EVERYWHERE || (window != PANDA_EVERYWHERE && !self->nested))
        return PyErr_Format(PyExc_ValueError, "window: got %d, expected 0 or more cells, or %d for everywhere%s",
                            window, (int)PANDA_EVERYWHERE, self->nested ? "" : ", as descriptors have no place");
    if (!(enough >= 0))
        return PyErr_Format(PyExc_ValueError, "enough: expected a squared distance >= 0");
    if (!(epsilon >= 0) || isinf(epsilon))
        return PyErr_Format(PyExc_ValueError, "epsilon: expected a finite number >= 0");
    if (!valid_threads(threads))
        return NULL;
    if (PySequence_Size(arrays) != self->level_count)
        return PyErr_Occurred() ? NULL
                                : PyErr_Format(PyExc_ValueError, "query: got %zd levels, expected %d",
                                               PySequence_Size(arrays), self->level_count);
    PyObject *result = NULL;
    Py_buffer query[PANDA_MAX_LEVELS] = {{0}}, others[4] = {{0}};
    Py_buffer *chosen = &others[0], *distances = &others[1], *indices = &others[2], *wanted = &others[3];
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
    if (cells != Py_None && (!get_array(cells, "cells", 2, BOOL, false, wanted) ||
                             !has_shape(wanted, "cells", (size_t[]){self->grid_h, self->grid_w})))
        goto done;
    panda_pyramid *pyramid = take_pyramid(self);
    if (pyramid == NULL)
        goto done;
    panda_status status;
    const panda_scope scope = {
        .images = chosen->obj ? chosen->buf : NULL,
        .image_count = chosen->obj ? (size_t)chosen->shape[0] : 0,
        .cells = wanted->obj ? wanted->buf : NULL,
        .window = window,
        .enough = enough,
    };
    Py_BEGIN_ALLOW_THREADS status =
        panda_pyramid_nearest(pyramid, rows, scope, epsilon, threads, distances->buf, indices->buf);
    Py_END_ALLOW_THREADS give_back(self, pyramid);
    result = outcome(status);
done:
    release(query, PANDA_MAX_LEVELS);
    release(others, 4);
    return result;
}

static PyMethodDef pyramid_methods[] = {
    {"nearest", pyramid_nearest, METH_VARARGS,
     "nearest(query, images, cells, window, enough, epsilon, threads, distances, indices)"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot pyramid_slots[] = {
    {Py_tp_new, pyramid_create},
    {Py_tp_dealloc, pyramid_destroy},
    {Py_tp_methods, pyramid_methods},
    {Py_tp_doc, "Pyramid(gallery, scales, grid_h, grid_w, nested)"},
    {0, NULL},
};

static PyType_Spec pyramid_spec = {"panda_edge._kernel.Pyramid", sizeof(PyramidObject), 0, Py_TPFLAGS_DEFAULT,
                                   pyramid_slots};

PyObject *pyramid_type(void) { return PyType_FromSpec(&pyramid_spec); }
