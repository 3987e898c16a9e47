/* Threads, locks and what belongs to one thread, of POSIX or of Windows: the one place that knows which. */
#ifndef PANDA_THREADS_H
#define PANDA_THREADS_H

#include <stdbool.h>

#if defined(_WIN32)
/* Windows' SRWLOCK, CONDITION_VARIABLE and INIT_ONCE are one pointer, zero at first. Its header stays in threads.c, as
 * it takes many names. */
typedef struct {
    void *word;
} panda_lock, panda_condition, panda_once;
typedef unsigned long panda_key;
#define PANDA_LOCK {0}
#define PANDA_CONDITION {0}
#define PANDA_ONCE {0}
#else
#include <pthread.h>
typedef pthread_mutex_t panda_lock;
typedef pthread_cond_t panda_condition;
typedef pthread_once_t panda_once;
typedef pthread_key_t panda_key;
#define PANDA_LOCK PTHREAD_MUTEX_INITIALIZER
#define PANDA_CONDITION PTHREAD_COND_INITIALIZER
#define PANDA_ONCE PTHREAD_ONCE_INIT
#endif

void lock_take(panda_lock *lock);
/* False where a thread has it. */
bool lock_try(panda_lock *lock);
void lock_release(panda_lock *lock);

/* Waits with the lock released; may return before any of the two below is called. */
void condition_wait(panda_condition *condition, panda_lock *lock);
void condition_wake_one(panda_condition *condition);
void condition_wake_all(panda_condition *condition);

/* Starts a thread that nobody waits for; false where the system gives none. */
bool thread_start(void (*run)(void *argument), void *argument);

/* Calls `make` in the first thread that comes by; the others wait for it. */
void run_once(panda_once *once, void (*make)(void));

/* A pointer that each thread has its own of, NULL at first. free_value is called with it when its thread ends; it may
 * be NULL. False where the system keeps no more of them. */
bool key_new(panda_key *key, void (*free_value)(void *value));
void *key_value(panda_key key);
bool key_set(panda_key key, void *value);

/* Calls `restart` in every forked child, which has none of its parent's threads. Windows has no fork. */
void after_fork(void (*restart)(void));

#endif
