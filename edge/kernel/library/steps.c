#include "library/steps.h"

#include <stdlib.h>
#include <string.h>

#include "library/border_gain.h"
#include "library/context.h"
#include "library/leave_one_out.h"

/* What `segmentation.steps` may name; a new step is a row here. */
static const panda_step STEPS[] = {
    {"leave-one-out", sizeof(panda_leave_one_out), leave_one_out_read, leave_one_out_apply, leave_one_out_close},
    {"border-gain", sizeof(panda_border_gain), border_gain_read, border_gain_apply, NULL},
    {"context", sizeof(panda_context), context_read, context_apply, context_close},
};

static const panda_step *find(const char *name)
{
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++)
        if (strcmp(STEPS[i].name, name) == 0)
            return &STEPS[i];
    return NULL;
}

static bool open_step(const panda_source *source, const panda_manifest *m, int object, panda_steps *steps,
                      panda_edge_error *error)
{
    char name[64];
    if (!json_string(&source->json, object, "step", name, sizeof name, error))
        return false;
    const panda_step *kind = find(name);
    if (kind == NULL)
        return panda_edge_fail(error, "manifest.json: segmentation: unknown step %s; update panda-edge", name);
    if (steps->count == PANDA_MAX_STEPS)
        return panda_edge_fail(error, "manifest.json: segmentation: expected at most %d steps", (int)PANDA_MAX_STEPS);
    void *state = calloc(1, kind->size);
    if (state == NULL)
        return panda_edge_fail(error, "not enough memory");
    steps->kinds[steps->count] = kind;
    steps->states[steps->count++] = state;
    return kind->read(source, m, object, state, error);
}

bool steps_open(const panda_source *source, const panda_manifest *m, panda_steps *steps, panda_edge_error *error)
{
    for (int i = 0, object; (object = json_item(&source->json, m->steps, i)) != JSON_NONE; i++)
        if (!open_step(source, m, object, steps, error))
            return false;
    return true;
}

panda_status steps_apply(const panda_steps *steps, const panda_manifest *m, const panda_searched *frame,
                         float *distances)
{
    panda_status status = PANDA_OK;
    for (int i = 0; i < steps->count && status == PANDA_OK; i++)
        status = steps->kinds[i]->apply(steps->states[i], m, frame, distances);
    return status;
}

void steps_close(panda_steps *steps)
{
    for (int i = 0; i < steps->count; i++) {
        if (steps->kinds[i]->close != NULL)
            steps->kinds[i]->close(steps->states[i]);
        free(steps->states[i]);
    }
    *steps = (panda_steps){0};
}
