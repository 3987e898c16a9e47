#include "base/pool.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/threads.h"
#include "panda_kernel.h"

static panda_lock owner = PANDA_LOCK; /* held for the whole of a parallel run */
static panda_lock lock = PANDA_LOCK;  /* guards everything below */
static panda_condition wake = PANDA_CONDITION;
static panda_condition done = PANDA_CONDITION;
static int started;         /* worker threads in existence */
static int wanted;          /* workers that take part in the present run: numbers 1 ... wanted */
static int unfinished;      /* of those, how many have not finished */
static unsigned generation; /* number of the present run */
static panda_job *current_job;
static void *current_context;
static size_t current_tasks;
static atomic_size_t next_task;

static void work(panda_job *job, void *context, size_t tasks, int worker)
{
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&next_task, 1, memory_order_relaxed);
        if (task >= tasks)
            return;
        job(context, task, worker);
    }
}

static void worker_main(void *argument)
{
    int self = (int)(intptr_t)argument;
    unsigned seen = 0;
    lock_take(&lock);
    for (;;) {
        while (generation == seen || self > wanted) {
            seen = generation;
            condition_wait(&wake, &lock);
        }
        seen = generation;
        panda_job *job = current_job;
        void *context = current_context;
        size_t tasks = current_tasks;
        lock_release(&lock);
        work(job, context, tasks, self);
        lock_take(&lock);
        if (--unfinished == 0)
            condition_wake_one(&done);
    }
}

/* A forked child has none of the parent's threads: it starts anew. */
static void after_fork_in_child(void)
{
    const panda_lock unlocked = PANDA_LOCK;
    const panda_condition quiet = PANDA_CONDITION;
    owner = lock = unlocked;
    wake = done = quiet;
    started = wanted = unfinished = 0;
}

static void register_fork_handler(void) { after_fork(after_fork_in_child); }

/* Called with the lock held. Fewer workers than asked for is not an error: the caller works too. */
static void start_workers(int count)
{
    static panda_once once = PANDA_ONCE;
    run_once(&once, register_fork_handler);
    while (started < count) {
        if (!thread_start(worker_main, (void *)(intptr_t)(started + 1)))
            return;
        started++;
    }
}

void panda_parallel(int threads, size_t tasks, panda_job *job, void *context)
{
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    if ((size_t)threads > tasks)
        threads = (int)tasks;
    if (threads <= 1 || !lock_try(&owner)) {
        for (size_t task = 0; task < tasks; task++)
            job(context, task, 0);
        return;
    }
    lock_take(&lock);
    start_workers(threads - 1);
    wanted = unfinished = started < threads - 1 ? started : threads - 1;
    current_job = job;
    current_context = context;
    current_tasks = tasks;
    atomic_store(&next_task, 0);
    generation++;
    condition_wake_all(&wake);
    lock_release(&lock);

    work(job, context, tasks, 0);

    lock_take(&lock);
    while (unfinished > 0)
        condition_wait(&done, &lock);
    wanted = 0; /* a worker that starts late must not join a run that is over */
    lock_release(&lock);
    lock_release(&owner);
}
