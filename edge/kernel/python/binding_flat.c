/* The type Flat: holds on to the array of a bank, which is read in place. */

#include "python/binding.h"

typedef struct {
    PyObject_HEAD panda_flat *flat;
    Py_buffer bank;
} FlatObject;

static int flat_setup(FlatObject *self, PyObject *array)
{
    Py_buffer *bank = &self->bank;
    if (!get_array(array, "bank", 2, F32 | F16, false, bank))
        return -1;
    size_t n = (size_t)bank->shape[0], d = (size_t)bank->shape[1];
    if (n == 0 || d == 0 || n > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "bank: got shape (%zu, %zu), expected at least one row and column", n, d);
        return -1;
    }
    self->flat = panda_flat_new(bank->buf, dtype_of(bank), n, d);
    if (self->flat == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static PyObject *flat_create(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *array;
    if (keywords != NULL && PyDict_Size(keywords) != 0) {
        PyErr_SetString(PyExc_TypeError, "Flat takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O", &array))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    FlatObject *self = (FlatObject *)allocate(type, 0);
    if (self != NULL && flat_setup(self, array) != 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void flat_destroy(PyObject *object)
{
    FlatObject *self = (FlatObject *)object;
    PyTypeObject *type = Py_TYPE(object);
    panda_flat_free(self->flat);
    release(&self->bank, 1);
    freefunc dispose = (freefunc)PyType_GetSlot(type, Py_tp_free);
    dispose(object);
    Py_DECREF(type);
}

static PyObject *flat_nearest(PyObject *object, PyObject *args)
{
    FlatObject *self = (FlatObject *)object;
    PyObject *arrays[3];
    int threads;
    if (!PyArg_ParseTuple(args, "OiOO", &arrays[0], &threads, &arrays[1], &arrays[2]) || !valid_threads(threads))
        return NULL;
    PyObject *result = NULL;
    Py_buffer views[3] = {{0}};
    Py_buffer *queries = &views[0], *distances = &views[1], *indices = &views[2];
    if (!get_array(arrays[0], "queries", 2, F32, false, queries))
        goto done;
    size_t q = (size_t)queries->shape[0];
    if (!has_shape(queries, "queries", (size_t[]){q, (size_t)self->bank.shape[1]}) ||
        !get_array(arrays[1], "distances", 1, F32, true, distances) || !has_shape(distances, "distances", &q) ||
        !get_array(arrays[2], "indices", 1, I64, true, indices) || !has_shape(indices, "indices", &q))
        goto done;
    panda_status status;
    Py_BEGIN_ALLOW_THREADS status =
        panda_flat_nearest(self->flat, queries->buf, q, threads, distances->buf, indices->buf);
    Py_END_ALLOW_THREADS result = outcome(status);
done:
    release(views, 3);
    return result;
}

static PyMethodDef flat_methods[] = {
    {"nearest", flat_nearest, METH_VARARGS, "nearest(queries, threads, distances, indices)"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot flat_slots[] = {
    {Py_tp_new, flat_create},
    {Py_tp_dealloc, flat_destroy},
    {Py_tp_methods, flat_methods},
    {Py_tp_doc, "Flat(bank)"},
    {0, NULL},
};

static PyType_Spec flat_spec = {"panda_edge._kernel.Flat", sizeof(FlatObject), 0, Py_TPFLAGS_DEFAULT, flat_slots};

PyObject *flat_type(void) { return PyType_FromSpec(&flat_spec); }
