#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct {
    void *memory;
    size_t size;
} scratch;

static atomic_size_t allocations;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void *counted(void *memory)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return memory;
}

size_t panda_allocations(void) { return atomic_load_explicit(&allocations, memory_order_relaxed); }

void *panda_allocate(size_t bytes) { return counted(malloc(bytes)); }

void *panda_allocate_zeroed(size_t bytes) { return counted(calloc(1, bytes)); }

void *panda_allocate_aligned(size_t alignment, size_t bytes) { return counted(aligned_alloc(alignment, bytes)); }

static void free_scratch(void *value)
{
    scratch *s = value;
    free(s->memory);
    free(s);
}

static void make_key(void) { have_key = pthread_key_create(&key, free_scratch) == 0; }

void *panda_scratch(size_t bytes)
{
    pthread_once(&once, make_key);
    if (!have_key)
        return NULL;
    scratch *s = pthread_getspecific(key);
    if (s == NULL) {
        s = panda_allocate_zeroed(sizeof *s);
        if (s == NULL || pthread_setspecific(key, s) != 0) {
            free(s);
            return NULL;
        }
    }
    if (s->memory == NULL || bytes > s->size) {
        free(s->memory);
        s->memory = panda_allocate(bytes > 0 ? bytes : 1);
        s->size = s->memory ? bytes : 0;
    }
    return s->memory;
}
