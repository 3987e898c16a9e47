#include "library/json.h"

#include <stdlib.h>
#include <string.h>

#include "library/regular.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS /* without them, closing a bracket would look for its opening one through all tokens */
#include "library/vendor/jsmn.h"

enum { MOST_BYTES = 4000000, MOST_TOKENS = 200000 };

static const jsmntok_t *token(const json_text *json, int i) { return (const jsmntok_t *)json->tokens + i; }

static bool read_text(const char *path, json_text *json, size_t *length, panda_edge_error *error)
{
    size_t size = 0;
    int file = open_regular(path, &size, error);
    if (file < 0)
        return false;
    json->text = size <= MOST_BYTES ? malloc(size + 1) : NULL;
    const bool readable = json->text == NULL || read_regular(file, json->text, size, length);
    close_regular(file);
    if (size > MOST_BYTES || !readable)
        return panda_edge_fail(error, "%s: no manifest (unreadable, or more than %d bytes)", path, MOST_BYTES);
    if (json->text == NULL)
        return panda_edge_fail(error, "%s: not enough memory", path);
    json->text[*length] = 0;
    return true;
}

bool json_read(const char *path, json_text *json, panda_edge_error *error)
{
    *json = (json_text){NULL, NULL, 0};
    size_t length = 0;
    if (!read_text(path, json, &length, error))
        return false;
    jsmn_parser parser;
    jsmn_init(&parser);
    int count = jsmn_parse(&parser, json->text, length, NULL, 0);
    if (count > 0 && count <= MOST_TOKENS)
        json->tokens = malloc((size_t)count * sizeof(jsmntok_t));
    if (json->tokens != NULL) {
        jsmn_init(&parser);
        json->count = jsmn_parse(&parser, json->text, length, json->tokens, (unsigned)count);
    }
    if (json->tokens == NULL || json->count != count || token(json, 0)->type != JSMN_OBJECT)
        return panda_edge_fail(error, "%s: not the JSON of a manifest; the bundle is damaged, copy it again", path);
    return true;
}

void json_free(json_text *json)
{
    free(json->text);
    free(json->tokens);
    *json = (json_text){NULL, NULL, 0};
}

static bool is_text(const json_text *json, int i, const char *text)
{
    size_t length = (size_t)(token(json, i)->end - token(json, i)->start);
    return strlen(text) == length && memcmp(json->text + token(json, i)->start, text, length) == 0;
}

static bool is_type(const json_text *json, int i, jsmntype_t type)
{
    return i >= 0 && i < json->count && token(json, i)->type == type;
}

int json_value(const json_text *json, int object, const char *name)
{
    if (!is_type(json, object, JSMN_OBJECT))
        return JSON_NONE;
    for (int i = object + 1; i < json->count && token(json, i)->start < token(json, object)->end; i++)
        if (token(json, i)->parent == object && token(json, i)->type == JSMN_STRING && token(json, i)->size == 1 &&
            is_text(json, i, name) && i + 1 < json->count && token(json, i + 1)->parent == i)
            return is_type(json, i + 1, JSMN_PRIMITIVE) && is_text(json, i + 1, "null") ? JSON_NONE : i + 1;
    return JSON_NONE;
}

int json_item(const json_text *json, int array, int wanted)
{
    if (!is_type(json, array, JSMN_ARRAY))
        return JSON_NONE;
    for (int i = array + 1, seen = 0; i < json->count && token(json, i)->start < token(json, array)->end; i++)
        if (token(json, i)->parent == array && seen++ == wanted)
            return i;
    return JSON_NONE;
}

bool json_is_list(const json_text *json, int value) { return is_type(json, value, JSMN_ARRAY); }

static bool is_number(const json_text *json, int i, double low, double high, double *value)
{
    if (!is_type(json, i, JSMN_PRIMITIVE) || strchr("-0123456789", json->text[token(json, i)->start]) == NULL)
        return false;
    char *end;
    *value = strtod(json->text + token(json, i)->start, &end);
    return end == json->text + token(json, i)->end && *value >= low && *value <= high;
}

bool json_number(const json_text *json, int object, const char *name, double low, double high, double *value,
                 panda_edge_error *error)
{
    return is_number(json, json_value(json, object, name), low, high, value) ||
           panda_edge_fail(error, "manifest.json: %s is not a number from %g to %g", name, low, high);
}

bool json_numbers(const json_text *json, int object, const char *name, double low, double high, float *values,
                  size_t room, size_t *count, panda_edge_error *error)
{
    const int array = json_value(json, object, name);
    *count = 0;
    if (array == JSON_NONE)
        return true;
    bool good = is_type(json, array, JSMN_ARRAY) && token(json, array)->size <= (int)room;
    double value = 0;
    for (int item; good && (item = json_item(json, array, (int)*count)) != JSON_NONE; values[(*count)++] = (float)value)
        good = is_number(json, item, low, high, &value);
    return good || panda_edge_fail(error, "manifest.json: %s is not a list of at most %zu numbers from %g to %g", name,
                                   room, low, high);
}

bool json_whole(const json_text *json, int object, const char *name, int64_t low, int64_t high, size_t *value,
                panda_edge_error *error)
{
    double number;
    if (json_number(json, object, name, (double)low, (double)high, &number, error)) {
        *value = (size_t)number;
        if ((double)*value == number)
            return true;
    }
    return panda_edge_fail(error, "manifest.json: %s is not a whole number from %lld to %lld", name, (long long)low,
                           (long long)high);
}

bool json_string(const json_text *json, int object, const char *name, char *value, size_t room, panda_edge_error *error)
{
    int i = json_value(json, object, name);
    if (!is_type(json, i, JSMN_STRING))
        return panda_edge_fail(error, "manifest.json: %s is not a string", name);
    size_t length = (size_t)(token(json, i)->end - token(json, i)->start);
    if (length >= room)
        return panda_edge_fail(error, "manifest.json: %s is a string of %zu bytes, expected less than %zu", name,
                               length, room);
    memcpy(value, json->text + token(json, i)->start, length);
    value[length] = 0;
    return true;
}
