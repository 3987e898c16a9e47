/* What stands before and behind the search of a frame: joined descriptors, and the bands that draw a heat map. */
#include "python/binding.h"

PyObject *heatmap_bands(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *objects[2];
    double sigma;
    if (!PyArg_ParseTuple(args, "dOO", &sigma, &objects[0], &objects[1]))
        return NULL;
    PyObject *result = NULL;
    Py_buffer views[2] = {{0}};
    Py_buffer *weights = &views[0], *first = &views[1];
    if (!get_array(objects[0], "weights", 2, F32, true, weights) ||
        !get_array(objects[1], "first", 1, I64, true, first))
        goto done;
    size_t out_length = (size_t)weights->shape[0], length = (size_t)weights->shape[1], taps;
    if (length == 0 || out_length == 0 || !(sigma >= 0 && sigma < 1e4)) {
        PyErr_Format(PyExc_ValueError, "bands: got %zu positions to %zu, expected 1 or more, and sigma from 0 to 10000",
                     length, out_length);
        goto done;
    }
    if (!has_shape(first, "first", &out_length))
        goto done;
    panda_status status = panda_heatmap_bands(length, out_length, sigma, weights->buf, first->buf, &taps);
    result = status == PANDA_OK ? PyLong_FromSize_t(taps) : outcome(status);
done:
    release(views, 2);
    return result;
}

PyObject *joint_descriptors(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *arrays, *output, *result = NULL;
    Py_ssize_t grid_h, grid_w, average;
    if (!PyArg_ParseTuple(args, "OnnnO", &arrays, &grid_h, &grid_w, &average, &output))
        return NULL;
    Py_ssize_t count = PySequence_Size(arrays);
    if (count < 0)
        return NULL;
    if (count < 1 || count > PANDA_MAX_LEVELS || grid_h < 1 || grid_w < 1 || grid_h > 65535 || grid_w > 65535 ||
        average < 1 || average > 65535 || average % 2 == 0)
        return PyErr_Format(PyExc_ValueError,
                            "descriptors: got %zd levels over %zd x %zd cells averaged over %zd, expected 1 to %d "
                            "levels, 1 to 65535 cells, an odd number",
                            count, grid_h, grid_w, average, (int)PANDA_MAX_LEVELS);
    Py_buffer views[PANDA_MAX_LEVELS + 1] = {{0}};
    Py_buffer *out = &views[PANDA_MAX_LEVELS];
    const float *levels[PANDA_MAX_LEVELS];
    size_t channels[PANDA_MAX_LEVELS], joint = 0, cells = (size_t)grid_h * (size_t)grid_w;
    for (int l = 0; l < count; l++) {
        PyObject *array = PySequence_GetItem(arrays, l);
        bool good = array != NULL && get_array(array, "levels", 2, F32, false, &views[l]);
        Py_XDECREF(array);
        if (!good)
            goto done;
        channels[l] = (size_t)views[l].shape[1];
        if (!has_shape(&views[l], "levels", (size_t[]){cells << (2 * l), channels[l]}))
            goto done;
        levels[l] = views[l].buf;
        joint += channels[l];
    }
    size_t shape[2] = {cells << (count > 1 ? 2 * (count - 2) : 0), joint};
    if (!get_array(output, "out", 2, F32, true, out) || !has_shape(out, "out", shape))
        goto done;
    panda_status status;
    Py_BEGIN_ALLOW_THREADS status = panda_joint_descriptors(levels, channels, (int)count, (size_t)grid_h,
                                                            (size_t)grid_w, (size_t)average, out->buf);
    Py_END_ALLOW_THREADS result = outcome(status);
done:
    release(views, PANDA_MAX_LEVELS + 1);
    return result;
}
