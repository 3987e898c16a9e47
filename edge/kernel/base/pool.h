/* A small pool of worker threads that sleep when there is nothing to do (the backbone's runtime shares the cores). */
#ifndef PANDA_POOL_H
#define PANDA_POOL_H

#include <stddef.h>

typedef void panda_job(void *context, size_t task, int worker);

/* Calls job(context, task, worker) once for every task < tasks, on up to `threads` threads, the caller being
 * worker 0; returns when all are done. Tasks are handed out in order, one at a time. When another thread has
 * the pool, the caller does all the work itself. */
void panda_parallel(int threads, size_t tasks, panda_job *job, void *context);

#endif
