/* Threads that all run the same function at once, on any system. */
#ifndef PANDA_CALLERS_H
#define PANDA_CALLERS_H

#include "base/threads.h"
#include "check.h"

typedef struct {
    void (*run)(void *argument);
    void *argument;
    int left;
    panda_lock lock;
    panda_condition done;
} callers;

static inline void caller_main(void *given)
{
    callers *c = given;
    c->run(c->argument);
    lock_take(&c->lock);
    if (--c->left == 0)
        condition_wake_all(&c->done);
    lock_release(&c->lock);
}

/* Returns when all have. */
static inline void run_callers(int count, void (*run)(void *argument), void *argument)
{
    callers c = {run, argument, count, PANDA_LOCK, PANDA_CONDITION};
    for (int i = 0; i < count; i++)
        CHECK(thread_start(caller_main, &c), "thread %d", i);
    lock_take(&c.lock);
    while (c.left > 0)
        condition_wait(&c.done, &c.lock);
    lock_release(&c.lock);
}

#endif
