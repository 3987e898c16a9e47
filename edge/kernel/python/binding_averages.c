/* Averages for context, of one frame and of all of a gallery. */
#include "python/binding.h"

typedef struct {
    Py_buffer in[PANDA_MAX_LEVELS], scales[PANDA_MAX_LEVELS], out[PANDA_AVERAGE_LEVELS];
    int count, kept;
    size_t images, cells, channels[PANDA_MAX_LEVELS];
} frames;

static void release_frames(frames *f)
{
    release(f->in, PANDA_MAX_LEVELS);
    release(f->scales, PANDA_MAX_LEVELS);
    release(f->out, PANDA_AVERAGE_LEVELS);
}

static bool begin(frames *f, PyObject *arrays, Py_ssize_t grid_h, Py_ssize_t grid_w)
{
    Py_ssize_t count = PySequence_Size(arrays);
    if (count < 0)
        return false;
    if (count < 1 || count > PANDA_MAX_LEVELS || grid_h < 1 || grid_w < 1 || grid_h > 65535 || grid_w > 65535) {
        PyErr_Format(PyExc_ValueError, "levels: got %zd over %zd x %zd cells, expected 1 to %d over 1 to 65535", count,
                     grid_h, grid_w, (int)PANDA_MAX_LEVELS);
        return false;
    }
    *f = (frames){.count = (int)count, .cells = (size_t)grid_h * (size_t)grid_w};
    f->kept = f->count < PANDA_AVERAGE_LEVELS ? f->count : PANDA_AVERAGE_LEVELS;
    return true;
}

/* Array l of a sequence; its first axis is the images, where it has three. */
static bool get_level(PyObject *arrays, int l, const char *name, int ndim, int allowed, bool writable, Py_buffer *view)
{
    PyObject *array = PySequence_GetItem(arrays, l);
    bool good = array != NULL && get_array(array, name, ndim, allowed, writable, view);
    Py_XDECREF(array);
    return good;
}

/* Levels (images, cells, channels), or (cells, channels) of one frame. */
static bool get_levels(frames *f, PyObject *arrays, int ndim, int allowed)
{
    for (int l = 0; l < f->count; l++) {
        if (!get_level(arrays, l, "levels", ndim, allowed, false, &f->in[l]))
            return false;
        const Py_ssize_t *found = f->in[l].shape;
        f->images = ndim == 3 ? (size_t)f->in[0].shape[0] : 1;
        f->channels[l] = (size_t)found[ndim - 1];
        const size_t shape[3] = {f->images, f->cells << 2 * l, f->channels[l]};
        if (!has_shape(&f->in[l], "levels", shape + 3 - ndim))
            return false;
        if (f->channels[l] == 0) {
            PyErr_SetString(PyExc_ValueError, "levels: got no channels, expected at least one");
            return false;
        }
    }
    return true;
}

static bool get_outputs(frames *f, PyObject *outputs, int ndim, int type)
{
    if (PySequence_Size(outputs) != f->kept) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "out: expected %d arrays", f->kept);
        return false;
    }
    for (int k = 0; k < f->kept; k++) {
        size_t channels = 0;
        for (int l = k; l < (k + 1 < f->kept ? k + 1 : f->count); l++)
            channels += f->channels[l];
        const size_t shape[3] = {f->images, f->cells << 2 * k, channels};
        if (!get_level(outputs, k, "out", ndim, type, true, &f->out[k]) ||
            !has_shape(&f->out[k], "out", shape + 3 - ndim))
            return false;
    }
    return true;
}

PyObject *averages(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *arrays, *outputs, *result = NULL;
    Py_ssize_t grid_h, grid_w;
    frames f;
    if (!PyArg_ParseTuple(args, "OnnO", &arrays, &grid_h, &grid_w, &outputs) || !begin(&f, arrays, grid_h, grid_w))
        return NULL;
    if (get_levels(&f, arrays, 2, F32) && get_outputs(&f, outputs, 2, F32)) {
        const float *levels[PANDA_MAX_LEVELS];
        float *out[PANDA_AVERAGE_LEVELS];
        for (int l = 0; l < f.count; l++)
            levels[l] = f.in[l].buf;
        for (int k = 0; k < f.kept; k++)
            out[k] = f.out[k].buf;
        panda_status status;
        Py_BEGIN_ALLOW_THREADS status =
            panda_averages(levels, f.channels, f.count, (size_t)grid_h, (size_t)grid_w, out);
        Py_END_ALLOW_THREADS result = outcome(status);
    }
    release_frames(&f);
    return result;
}

/* Offset and scale of each row of a level of bytes; None for others. */
static bool get_scales(frames *f, PyObject *scales)
{
    for (int l = 0; l < f->count; l++) {
        const size_t shape[3] = {f->images, f->cells << 2 * l, 2};
        if (dtype_of(&f->in[l]) == PANDA_U8 && (!get_level(scales, l, "scales", 3, F32, false, &f->scales[l]) ||
                                                !has_shape(&f->scales[l], "scales", shape)))
            return false;
    }
    return true;
}

PyObject *gallery_averages(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *arrays, *scales, *outputs, *result = NULL;
    Py_ssize_t grid_h, grid_w;
    int threads;
    frames f;
    if (!PyArg_ParseTuple(args, "OOnniO", &arrays, &scales, &grid_h, &grid_w, &threads, &outputs) ||
        !valid_threads(threads) || !begin(&f, arrays, grid_h, grid_w))
        return NULL;
    if (get_levels(&f, arrays, 3, F32 | F16 | U8) && get_scales(&f, scales) && get_outputs(&f, outputs, 3, F16)) {
        panda_level levels[PANDA_MAX_LEVELS];
        uint16_t *out[PANDA_AVERAGE_LEVELS];
        for (int l = 0; l < f.count; l++)
            levels[l] = (panda_level){{f.in[l].buf, f.scales[l].buf, dtype_of(&f.in[l])}, f.channels[l]};
        for (int k = 0; k < f.kept; k++)
            out[k] = f.out[k].buf;
        panda_status status;
        Py_BEGIN_ALLOW_THREADS status =
            panda_gallery_averages(levels, f.count, f.images, (size_t)grid_h, (size_t)grid_w, threads, out);
        Py_END_ALLOW_THREADS result = outcome(status);
    }
    release_frames(&f);
    return result;
}
