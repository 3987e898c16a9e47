/* What a forked child must not do with what libraries of the parent left in it: onnxruntime waits for its own threads,
 * which a child lacks, when a session is destroyed, and once more when a process that imported it exits. */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* on_exit */
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>

#include "python/binding.h"

PyObject *never_destroy(PyObject *module, PyObject *object)
{
    (void)module;
    Py_INCREF(object);
    Py_RETURN_NONE;
}

#if defined(__linux__)
/* Handlers run in reverse order: this one before all that libraries of the parent registered. */
static void end_now(int status, void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(status);
}
#endif

PyObject *end_without_handlers(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
#if defined(__linux__)
    if (on_exit(end_now, NULL) != 0)
        return PyErr_NoMemory();
#endif
    Py_RETURN_NONE;
}
