#include "base/threads.h"

#include <stdlib.h>

typedef struct {
    void (*run)(void *argument);
    void *argument;
} thread_task;

static thread_task *new_task(void (*run)(void *argument), void *argument)
{
    thread_task *task = malloc(sizeof *task);
    if (task != NULL)
        *task = (thread_task){run, argument};
    return task;
}

/* In the new thread, which the task is left to. */
static void run_task(void *given)
{
    thread_task task = *(thread_task *)given;
    free(given);
    task.run(task.argument);
}

#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

_Static_assert(sizeof(panda_lock) == sizeof(SRWLOCK), "a lock is one pointer");
_Static_assert(sizeof(panda_condition) == sizeof(CONDITION_VARIABLE), "a condition is one pointer");
_Static_assert(sizeof(panda_once) == sizeof(INIT_ONCE), "a once is one pointer");

void lock_take(panda_lock *lock) { AcquireSRWLockExclusive((SRWLOCK *)lock); }

bool lock_try(panda_lock *lock) { return TryAcquireSRWLockExclusive((SRWLOCK *)lock) != 0; }

void lock_release(panda_lock *lock) { ReleaseSRWLockExclusive((SRWLOCK *)lock); }

void condition_wait(panda_condition *condition, panda_lock *lock)
{
    SleepConditionVariableSRW((CONDITION_VARIABLE *)condition, (SRWLOCK *)lock, INFINITE, 0);
}

void condition_wake_one(panda_condition *condition) { WakeConditionVariable((CONDITION_VARIABLE *)condition); }

void condition_wake_all(panda_condition *condition) { WakeAllConditionVariable((CONDITION_VARIABLE *)condition); }

static DWORD WINAPI thread_main(void *task)
{
    run_task(task);
    return 0;
}

bool thread_start(void (*run)(void *argument), void *argument)
{
    thread_task *task = new_task(run, argument);
    HANDLE thread = task != NULL ? CreateThread(NULL, 0, thread_main, task, 0, NULL) : NULL;
    if (thread == NULL) {
        free(task);
        return false;
    }
    CloseHandle(thread);
    return true;
}

static BOOL WINAPI once_main(INIT_ONCE *once, void *make, void **unused)
{
    (void)once, (void)unused;
    (*(void (**)(void))make)();
    return TRUE;
}

void run_once(panda_once *once, void (*make)(void)) { InitOnceExecuteOnce((INIT_ONCE *)once, once_main, &make, NULL); }

/* Fiber-local storage is thread-local where there are no fibers, and unlike TlsAlloc's calls back when a thread ends.
 */
bool key_new(panda_key *key, void (*free_value)(void *value))
{
    *key = FlsAlloc(free_value);
    return *key != FLS_OUT_OF_INDEXES;
}

void *key_value(panda_key key) { return FlsGetValue(key); }

bool key_set(panda_key key, void *value) { return FlsSetValue(key, value) != 0; }

void after_fork(void (*restart)(void)) { (void)restart; }

#else

void lock_take(panda_lock *lock) { pthread_mutex_lock(lock); }

bool lock_try(panda_lock *lock) { return pthread_mutex_trylock(lock) == 0; }

void lock_release(panda_lock *lock) { pthread_mutex_unlock(lock); }

void condition_wait(panda_condition *condition, panda_lock *lock) { pthread_cond_wait(condition, lock); }

void condition_wake_one(panda_condition *condition) { pthread_cond_signal(condition); }

void condition_wake_all(panda_condition *condition) { pthread_cond_broadcast(condition); }

static void *thread_main(void *task)
{
    run_task(task);
    return NULL;
}

bool thread_start(void (*run)(void *argument), void *argument)
{
    thread_task *task = new_task(run, argument);
    pthread_t thread;
    if (task == NULL || pthread_create(&thread, NULL, thread_main, task) != 0) {
        free(task);
        return false;
    }
    pthread_detach(thread);
    return true;
}

void run_once(panda_once *once, void (*make)(void)) { pthread_once(once, make); }

bool key_new(panda_key *key, void (*free_value)(void *value)) { return pthread_key_create(key, free_value) == 0; }

void *key_value(panda_key key) { return pthread_getspecific(key); }

bool key_set(panda_key key, void *value) { return pthread_setspecific(key, value) == 0; }

void after_fork(void (*restart)(void)) { pthread_atfork(NULL, NULL, restart); }

#endif
