/* The memory of what runs once a frame: kept from frame to frame, and counted. */
#ifndef PANDA_MEMORY_H
#define PANDA_MEMORY_H

#include <stddef.h>

/* As malloc and calloc (of one object); free() gives back. */
void *panda_allocate(size_t bytes);
void *panda_allocate_zeroed(size_t bytes);

/* At multiples of the alignment, a power of 2; panda_free_aligned gives back. */
void *panda_allocate_aligned(size_t alignment, size_t bytes);
/* At whole cache lines. What is large enough lies on large pages, where the system has them: it is read in no order,
 * and 4 KB pages would cost a table walk each. */
void *panda_allocate_lines(size_t bytes);
void panda_free_aligned(void *memory);

/* Memory of the calling thread, for the length of one kernel call: the next call of this gives the same again. It
 * grows to the largest size asked for and is freed when the thread ends. NULL when memory is short. */
void *panda_scratch(size_t bytes);

/* How often any of the above has taken memory from the system, in all threads. */
size_t panda_allocations(void);

#endif
