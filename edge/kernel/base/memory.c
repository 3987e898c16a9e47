#define _DEFAULT_SOURCE /* madvise */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#if defined(_WIN32)
#include <malloc.h>
#else
#include <sys/mman.h>
#endif

#include "base/threads.h"

typedef struct {
    void *memory;
    size_t size;
} scratch;

static atomic_size_t allocations;
static panda_once once = PANDA_ONCE;
static panda_key key;
static bool have_key;

static void *counted(void *memory)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return memory;
}

size_t panda_allocations(void) { return atomic_load_explicit(&allocations, memory_order_relaxed); }

void *panda_allocate(size_t bytes) { return counted(malloc(bytes)); }

void *panda_allocate_zeroed(size_t bytes) { return counted(calloc(1, bytes)); }

/* aligned_alloc wants whole multiples of the alignment, Windows' more than nothing. */
void *panda_allocate_aligned(size_t alignment, size_t bytes)
{
    bytes = ((bytes > 0 ? bytes : 1) + alignment - 1) / alignment * alignment;
#if defined(_WIN32)
    return counted(_aligned_malloc(bytes, alignment));
#else
    return counted(aligned_alloc(alignment, bytes));
#endif
}

void *panda_allocate_lines(size_t bytes)
{
    const size_t large = 2 << 20;
    void *memory = panda_allocate_aligned(bytes < large ? 64 : large, bytes);
#ifdef MADV_HUGEPAGE
    if (memory != NULL && bytes >= large)
        madvise(memory, (bytes + large - 1) / large * large, MADV_HUGEPAGE);
#endif
    return memory;
}

void panda_free_aligned(void *memory)
{
#if defined(_WIN32)
    _aligned_free(memory);
#else
    free(memory);
#endif
}

static void free_scratch(void *value)
{
    scratch *s = value;
    if (s == NULL)
        return;
    free(s->memory);
    free(s);
}

static void make_key(void) { have_key = key_new(&key, free_scratch); }

void *panda_scratch(size_t bytes)
{
    run_once(&once, make_key);
    if (!have_key)
        return NULL;
    scratch *s = key_value(key);
    if (s == NULL) {
        s = panda_allocate_zeroed(sizeof *s);
        if (s == NULL || !key_set(key, s)) {
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
