#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "panda_kernel.h"

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER; /* held for the whole of a parallel run */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* guards everything below */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
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

static void *worker_main(void *argument)
{
    int self = (int)(intptr_t)argument;
    unsigned seen = 0;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (generation == seen || self > wanted) {
            seen = generation;
            pthread_cond_wait(&wake, &lock);
        }
        seen = generation;
        panda_job *job = current_job;
        void *context = current_context;
        size_t tasks = current_tasks;
        pthread_mutex_unlock(&lock);
        work(job, context, tasks, self);
        pthread_mutex_lock(&lock);
        if (--unfinished == 0)
            pthread_cond_signal(&done);
    }
    return NULL;
}

/* A forked child has none of the parent's threads: it starts anew. */
static void after_fork_in_child(void)
{
    pthread_mutex_init(&owner, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&wake, NULL);
    pthread_cond_init(&done, NULL);
    started = wanted = unfinished = 0;
}

static void register_fork_handler(void) { pthread_atfork(NULL, NULL, after_fork_in_child); }

/* Called with the lock held. Fewer workers than asked for is not an error: the caller works too. */
static void start_workers(int count)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handler);
    while (started < count) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker_main, (void *)(intptr_t)(started + 1)) != 0)
            return;
        pthread_detach(thread);
        started++;
    }
}

void panda_parallel(int threads, size_t tasks, panda_job *job, void *context)
{
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    if ((size_t)threads > tasks)
        threads = (int)tasks;
    if (threads <= 1 || pthread_mutex_trylock(&owner) != 0) {
        for (size_t task = 0; task < tasks; task++)
            job(context, task, 0);
        return;
    }
    pthread_mutex_lock(&lock);
    start_workers(threads - 1);
    wanted = unfinished = started < threads - 1 ? started : threads - 1;
    current_job = job;
    current_context = context;
    current_tasks = tasks;
    atomic_store(&next_task, 0);
    generation++;
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);

    work(job, context, tasks, 0);

    pthread_mutex_lock(&lock);
    while (unfinished > 0)
        pthread_cond_wait(&done, &lock);
    wanted = 0; /* a worker that starts late must not join a run that is over */
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&owner);
}
