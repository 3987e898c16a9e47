/* What the files that see Python share: arrays in, errors out. */
#ifndef PANDA_BINDING_H
#define PANDA_BINDING_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "panda_kernel.h"

enum { F32 = 1, F16 = 2, I64 = 4, BOOL = 8, U8 = 16 }; /* what an argument may hold */

/* Fills view with the buffer of a C-contiguous array of `ndim` dimensions, or sets an error and returns false.
 * A view that was filled must be released. */
bool get_array(PyObject *object, const char *name, int ndim, int allowed, bool writable, Py_buffer *view);
/* Releases the views that were filled; the others' obj is NULL. */
void release(Py_buffer *views, int count);
/* Those that return false have set an error. */
bool has_shape(const Py_buffer *view, const char *name, const size_t *shape);
bool valid_threads(int threads);
panda_dtype dtype_of(const Py_buffer *view);

/* Names of the levels that this CPU has, a tuple. */
PyObject *simd_levels(void);
/* Turns a status into None, or into an exception. */
PyObject *outcome(panda_status status);

/* Functions of the module, of binding_maps.c. */
PyObject *heatmap_bands(PyObject *module, PyObject *args);
PyObject *joint_descriptors(PyObject *module, PyObject *args);
/* Of binding_averages.c. */
PyObject *averages(PyObject *module, PyObject *args);
PyObject *gallery_averages(PyObject *module, PyObject *args);

/* Of binding_fork.c. */
PyObject *never_destroy(PyObject *module, PyObject *object);
PyObject *end_without_handlers(PyObject *module, PyObject *unused);

/* The types of galleries, and the searches in them: Pyramid, and Flat. */
PyObject *pyramid_type(void);
PyObject *flat_type(void);

#endif
