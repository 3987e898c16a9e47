/* Reading a manifest's JSON: values by name, each with the type and range that is expected of it. */
#ifndef PANDA_JSON_H
#define PANDA_JSON_H

#include <stdint.h>

#include "library/failure.h"

typedef struct {
    char *text;
    void *tokens; /* of jsmn */
    int count;
} json_text;

/* The object of a file of at most 4 MB. */
bool json_read(const char *path, json_text *json, panda_edge_error *error);
void json_free(json_text *json);

enum { JSON_NONE = -1, JSON_TOP = 0 };
/* The value of a name in an object, by its number; JSON_NONE where it is missing or null, or the object is none. */
int json_value(const json_text *json, int object, const char *name);
/* The i-th value of an array; JSON_NONE behind its end, or of what is no array. */
int json_item(const json_text *json, int array, int i);
bool json_is_list(const json_text *json, int value);
/* Numbers within [low, high], at most `room` of them; none where the name is missing or null. */
bool json_numbers(const json_text *json, int object, const char *name, double low, double high, float *values,
                  size_t room, size_t *count, panda_edge_error *error);
/* A whole number within [low, high], a number, and a string: false, and what is wrong with `name` in a line. */
bool json_whole(const json_text *json, int object, const char *name, int64_t low, int64_t high, size_t *value,
                panda_edge_error *error);
bool json_number(const json_text *json, int object, const char *name, double low, double high, double *value,
                 panda_edge_error *error);
bool json_string(const json_text *json, int object, const char *name, char *value, size_t room,
                 panda_edge_error *error);

#endif
