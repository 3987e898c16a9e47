/* The worker pool: every task once, from many callers at once, after a fork, and under the thread sanitizer. */
#include <stdatomic.h>
#include <string.h>
#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "base/pool.h"
#include "callers.h"

enum { TASKS = 1000, CALLERS = 4 };

typedef struct {
    atomic_int runs[TASKS];
    atomic_int highest_worker;
} ledger;

static void mark(void *context, size_t task, int worker)
{
    ledger *l = context;
    atomic_fetch_add(&l->runs[task], 1);
    if (worker > atomic_load(&l->highest_worker))
        atomic_store(&l->highest_worker, worker);
}

static void each_task_once(int threads, size_t tasks)
{
    ledger *l = calloc(1, sizeof *l);
    CHECK(l != NULL, "memory");
    panda_parallel(threads, tasks, mark, l);
    for (size_t task = 0; task < TASKS; task++)
        CHECK(atomic_load(&l->runs[task]) == (task < tasks), "%d threads, task %zu of %zu", threads, task, tasks);
    CHECK(atomic_load(&l->highest_worker) < threads, "%d threads", threads);
    free(l);
}

static void caller(void *unused)
{
    (void)unused;
    for (int round = 0; round < 50; round++)
        each_task_once(1 + round % 4, (size_t)(round * 37 % (TASKS + 1)));
}

static void search(void)
{
    float query[32] = {0}, bank[64 * 32], distances[3];
    int64_t indices[3];
    for (size_t i = 0; i < sizeof bank / sizeof *bank; i++)
        bank[i] = (float)(i / 32);
    CHECK(panda_topk(query, 1, bank, PANDA_F32, 64, 32, 3, 2, distances, indices) == PANDA_OK, "top-k");
    CHECK(indices[0] == 0 && indices[1] == 1 && indices[2] == 2, "top-k");
}

int main(void)
{
    for (int threads = 1; threads <= 9; threads++)
        for (size_t tasks = 0; tasks <= TASKS; tasks += 1 + tasks)
            each_task_once(threads, tasks);
    puts("ok every task once");

    run_callers(CALLERS, caller, NULL);
    puts("ok callers at once");

    search();
#if !defined(_WIN32)
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        search();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    puts("ok after a fork");
#endif
    return 0;
}
