/* A small reader of JSON: one line at a time, in place. Strings stay as they stand between their quotes. */
#ifndef FOCAL_JSON_H
#define FOCAL_JSON_H

#include <stdlib.h>
#include <string.h>

typedef enum { JSON_NULL, JSON_WORD, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_kind;

typedef struct json {
    json_kind kind;
    char *text;         /* of a string, a number, true or false */
    char *key;          /* of a member of an object */
    struct json *first; /* entry of an array or member of an object */
    struct json *next;  /* its neighbour */
    size_t count;       /* of entries or members */
} json;

#define JSON_DEPTH 64

static char *json_skip(char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') at++;
    return at;
}

static void json_free(json *value) {
    while (value != NULL) {
        json *next = value->next;
        json_free(value->first);
        free(value);
        value = next;
    }
}

/* The end of a string that begins behind its first quote, which becomes a terminating zero; NULL if there is none. */
static char *json_string_end(char *at) {
    for (; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '"') {
            *at = '\0';
            return at + 1;
        }
    }
    return NULL;
}

/* Reads one value and moves *at behind it; NULL if there is none. */
static json *json_value(char **at, int depth) {
    char *here = json_skip(*at);
    json *value = calloc(1, sizeof *value);
    if (value == NULL || depth > JSON_DEPTH) goto broken;
    if (*here == '"') {
        value->kind = JSON_STRING;
        value->text = here + 1;
        if ((here = json_string_end(here + 1)) == NULL) goto broken;
    } else if (*here == '[' || *here == '{') {
        char close = *here == '[' ? ']' : '}';
        json **last = &value->first;
        value->kind = *here == '[' ? JSON_ARRAY : JSON_OBJECT;
        here = json_skip(here + 1);
        while (*here != close) {
            char *key = NULL;
            if (value->count > 0) {
                if (*here != ',') goto broken;
                here = json_skip(here + 1);
            }
            if (value->kind == JSON_OBJECT) {
                if (*here != '"') goto broken;
                key = here + 1;
                if ((here = json_string_end(key)) == NULL) goto broken;
                here = json_skip(here);
                if (*here != ':') goto broken;
                here++;
            }
            if ((*last = json_value(&here, depth + 1)) == NULL) goto broken;
            (*last)->key = key;
            last = &(*last)->next;
            value->count++;
            here = json_skip(here);
        }
        here++;
    } else {
        size_t length = strspn(here, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
        char *copy;
        if (length == 0) goto broken;
        value->kind = strncmp(here, "null", 4) == 0 ? JSON_NULL : JSON_WORD;
        /* What stands behind a number must not be lost to a terminating zero: move the number one to the left. */
        copy = here - 1;
        memmove(copy, here, length);
        copy[length] = '\0';
        value->text = copy;
        here += length;
    }
    *at = here;
    return value;
broken:
    json_free(value);
    return NULL;
}

/* The value of a line, which is changed; free it with json_free, before the line. */
static json *json_parse(char *line) {
    char *at = line;
    return *json_skip(line) == '{' ? json_value(&at, 0) : NULL;
}

/* A member of an object; NULL if there is none, or if it is no object. */
static json *json_get(const json *object, const char *key) {
    if (object == NULL || object->kind != JSON_OBJECT) return NULL;
    for (json *member = object->first; member != NULL; member = member->next)
        if (strcmp(member->key, key) == 0) return member;
    return NULL;
}

/* The text of a string member, or "". */
static const char *json_text(const json *object, const char *key) {
    const json *member = json_get(object, key);
    return member != NULL && member->kind == JSON_STRING ? member->text : "";
}

#endif
