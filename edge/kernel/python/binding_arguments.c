/* Arguments and results between Python and the kernels. */
#include <string.h>

#include "python/binding.h"

static const char *type_names(int allowed)
{
    switch (allowed) {
    case F32:
        return "float32";
    case F32 | F16:
        return "float32 or float16";
    case F32 | F16 | U8:
        return "float32, float16 or uint8";
    case BOOL:
        return "bool";
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
    if (*format == '?' && view->itemsize == 1)
        return BOOL;
    if (*format == 'B' && view->itemsize == 1)
        return U8;
    return (*format == 'l' || *format == 'q') && view->itemsize == 8 ? I64 : 0;
}

bool get_array(PyObject *object, const char *name, int ndim, int allowed, bool writable, Py_buffer *view)
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

void release(Py_buffer *views, int count)
{
    for (int i = 0; i < count; i++)
        if (views[i].obj != NULL)
            PyBuffer_Release(&views[i]);
}

bool has_shape(const Py_buffer *view, const char *name, const size_t *shape)
{
    for (int i = 0; i < view->ndim; i++)
        if ((size_t)view->shape[i] != shape[i]) {
            PyErr_Format(PyExc_ValueError, "%s: got length %zd on axis %d, expected %zu", name, view->shape[i], i,
                         shape[i]);
            return false;
        }
    return true;
}

panda_dtype dtype_of(const Py_buffer *view)
{
    int type = type_of(view);
    return type == F16 ? PANDA_F16 : type == U8 ? PANDA_U8 : PANDA_F32;
}

bool valid_threads(int threads)
{
    if (threads >= 1 && threads <= PANDA_MAX_THREADS)
        return true;
    PyErr_Format(PyExc_ValueError, "threads: got %d, expected 1 to %d", threads, (int)PANDA_MAX_THREADS);
    return false;
}

PyObject *simd_levels(void)
{
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

PyObject *outcome(panda_status status)
{
    if (status == PANDA_OK)
        Py_RETURN_NONE;
    if (status == PANDA_NO_MEMORY)
        return PyErr_NoMemory();
    if (status == PANDA_INTERRUPTED)
        return NULL; /* the signal handler has raised */
    if (status == PANDA_NOT_FINITE)
        return PyErr_Format(PyExc_ValueError, "points: got NaN or infinity, expected finite values");
    PyObject *usable = simd_levels();
    if (usable != NULL)
        PyErr_Format(PyExc_ValueError, "PANDA_SIMD: this CPU cannot run the level asked for; it has %R", usable);
    Py_XDECREF(usable);
    return NULL;
}
