#include "search/workspace.h"

#include <stdlib.h>

#include "base/memory.h"

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* A worker's memory within `memory`; *size becomes how much that is, also where memory is NULL. */
static worker_memory lay_out(char *memory, const screen_workspace *w, size_t *size)
{
    size_t most_chunks = 0, at = 0;
    for (int l = 0; l < w->screened; l++)
        most_chunks = w->chunks[l] > most_chunks ? w->chunks[l] : most_chunks;
    const size_t bytes[] = {
        TASK_CELLS / QUAD * w->chunks[0] * PANEL_CHUNK * sizeof(int16_t),
        w->chunks[1] * PANEL_CHUNK * sizeof(int16_t),
        most_chunks * QUAD_CHUNK * sizeof(int16_t),
        TASK_CELLS * w->capacity * sizeof(int32_t),
        (w->capacity + 16) * sizeof(uint32_t),
        (MOST_HITS + BATCH) * sizeof(screen_hit),
        MOST_PAIRS * sizeof(uint32_t),
        MOST_PAIRS * sizeof(int32_t),
        w->capacity / QUAD * sizeof(uint32_t),
        QUAD * w->padded * sizeof(int32_t),
        w->capacity * sizeof(int32_t),
        (w->capacity + 16) * sizeof(uint32_t),
        (MOST_PAIRS + 16) * sizeof(uint32_t),
        MOST_PAIRS * sizeof(size_t),
        MOST_PAIRS * sizeof(uint32_t),
        MOST_PAIRS * sizeof(float),
        sizeof(spread_query),
        spread_size(w->widest) * sizeof(float) * PANDA_MAX_LEVELS,
    };
    enum { COUNT = sizeof bytes / sizeof *bytes };
    char *part[COUNT];
    for (int i = 0; i < COUNT; i++) {
        part[i] = memory ? memory + at : NULL;
        at += aligned(bytes[i]);
    }
    *size = at;
    spread_query *spread = (spread_query *)part[16];
    for (int l = 0; memory && l < PANDA_MAX_LEVELS; l++)
        spread->rows[l] = (float *)part[17] + spread_size(w->widest) * (size_t)l;
    return (worker_memory){
        .panel = {(int16_t *)part[0], (int16_t *)part[1]},
        .quad = (int16_t *)part[2],
        .rows = (int32_t *)part[3],
        .columns = (uint32_t *)part[4],
        .hits = (screen_hit *)part[5],
        .open_pairs = (uint32_t *)part[6],
        .open_bases = (int32_t *)part[7],
        .reached = (uint32_t *)part[8],
        .outside = (int32_t *)part[9],
        .distances = (int32_t *)part[10],
        .between = (uint32_t *)part[11],
        .chosen = (uint32_t *)part[12],
        .first = (size_t *)part[13],
        .visited = (uint32_t *)part[14],
        .least = (float *)part[15],
        .spread = spread,
    };
}

worker_memory worker_memory_of(const screen_workspace *w, int worker)
{
    size_t size;
    return lay_out(w->worker_memory + (size_t)worker * w->worker_size, w, &size);
}

void screen_workspace_free(screen_workspace *w)
{
    if (w == NULL)
        return;
    for (int l = 0; l < SCREENED; l++) {
        free(w->mean[l]);
        panda_free_aligned(w->quads[l]);
        panda_free_aligned(w->norms[l]);
    }
    free(w->search);
    free(w->rounded);
    panda_free_aligned(w->worker_memory);
    free(w);
}

screen_workspace *screen_workspace_new(const panda_pyramid *p)
{
    screen_workspace *w = panda_allocate_zeroed(sizeof *w);
    if (w == NULL)
        return NULL;
    w->screened = p->level_count < SCREENED ? p->level_count : SCREENED;
    w->padded = (p->cells + QUAD - 1) / QUAD * QUAD;
    bool complete = (w->search = panda_allocate(p->cells * sizeof *w->search)) != NULL;
    for (int l = 1; l < p->level_count; l++)
        w->widest = p->level[l].channels > w->widest ? p->level[l].channels : w->widest;
    for (int l = 0; l < w->screened; l++) {
        w->chunks[l] = (p->level[l].channels + CHUNK - 1) / CHUNK;
        w->quad_size[l] = w->chunks[l] * QUAD_CHUNK;
        w->image_bytes += w->padded / QUAD * power_of_4(l) * w->quad_size[l] * sizeof(int16_t);
        complete &= (w->mean[l] = panda_allocate(p->level[l].channels * sizeof(float))) != NULL;
    }
    if (complete)
        return w;
    screen_workspace_free(w);
    return NULL;
}

bool screen_workspace_reserve(screen_workspace *w, size_t capacity, int threads)
{
    if (capacity > w->capacity) {
        w->capacity = 0;
        free(w->rounded);
        w->rounded = panda_allocate(capacity * sizeof *w->rounded);
        if (w->rounded == NULL)
            return false;
        for (int l = 0; l < w->screened; l++) {
            size_t quads = capacity / QUAD * power_of_4(l);
            panda_free_aligned(w->quads[l]);
            panda_free_aligned(w->norms[l]);
            w->quads[l] = panda_allocate_lines(quads * w->quad_size[l] * sizeof(int16_t));
            w->norms[l] = panda_allocate_lines(quads * QUAD * sizeof(int32_t));
            if (w->quads[l] == NULL || w->norms[l] == NULL)
                return false;
        }
        w->capacity = capacity;
        w->workers = 0;
    }
    if (threads > w->workers) {
        lay_out(NULL, w, &w->worker_size);
        panda_free_aligned(w->worker_memory);
        w->worker_memory = panda_allocate_aligned(64, w->worker_size * (size_t)threads);
        w->workers = w->worker_memory ? threads : 0;
    }
    return w->workers >= threads;
}
