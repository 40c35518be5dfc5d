/* Answers the suite's questions on standard input; a program defines one formula and calls serve(). */
#ifndef FOCAL_PROTOCOL_H
#define FOCAL_PROTOCOL_H

#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "json.h"

#define PROTOCOL 1

/* Value and derivative of one element; the weight is alpha, 1 - alpha or 1. */
typedef void formula(double x, int positive, double weight, double gamma, double *value, double *gradient);

typedef struct {
    int is_double;
    size_t count;
    const json *shape;
    double *numbers;
} array;

static double from_bits(const char *digits, int is_double) {
    uint64_t bits = strtoull(digits, NULL, 16);
    double number;
    if (is_double) {
        memcpy(&number, &bits, sizeof number);
    } else {
        uint32_t narrow = (uint32_t)bits;
        float single;
        memcpy(&single, &narrow, sizeof single);
        number = single;
    }
    return number;
}

static void print_bits(double number, int is_double) {
    if (is_double) {
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        printf("\"%016llx\"", (unsigned long long)bits);
    } else {
        float single = (float)number; /* The one rounding of a float32 result. */
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        printf("\"%08x\"", (unsigned)bits);
    }
}

static int refuse(const char *id, const char *argument, const char *got, const char *allowed) {
    printf("{\"id\": \"%s\", \"error\": \"%s: got %s; %s\"}\n", id, argument, got, allowed);
    return 1;
}

/* Reads an array of float32 or float64; 0 if it is none. */
static int read_array(const json *entry, array *result) {
    const char *dtype = json_text(entry, "dtype");
    const json *bits = json_get(entry, "bits");
    size_t index = 0, digits;
    result->is_double = strcmp(dtype, "float64") == 0;
    result->shape = json_get(entry, "shape");
    if ((!result->is_double && strcmp(dtype, "float32") != 0) || bits == NULL || result->shape == NULL) return 0;
    digits = result->is_double ? 16 : 8;
    result->count = bits->count;
    result->numbers = malloc((bits->count + 1) * sizeof *result->numbers);
    if (result->numbers == NULL) exit(1);
    for (const json *text = bits->first; text != NULL; text = text->next) {
        if (text->kind != JSON_STRING || strlen(text->text) != digits) return 0;
        result->numbers[index++] = from_bits(text->text, result->is_double);
    }
    return 1;
}

static int same_shape(const json *one, const json *other) {
    const json *a = one->first, *b = other->first;
    while (a != NULL && b != NULL && strcmp(a->text, b->text) == 0) a = a->next, b = b->next;
    return a == NULL && b == NULL;
}

static void print_result(const char *name, const array *like, const double *numbers) {
    printf("\"%s\": {\"dtype\": \"%s\", \"shape\": [", name, like->is_double ? "float64" : "float32");
    for (const json *size = like->shape->first; size != NULL; size = size->next)
        printf("%s%s", size->text, size->next == NULL ? "" : ", ");
    printf("], \"bits\": [");
    for (size_t index = 0; index < like->count; index++) {
        if (index > 0) putchar(',');
        print_bits(numbers[index], like->is_double);
    }
    printf("]}");
}

static void print_results(const char *id, const json *quantities, const array *logits, const double *value,
                          const double *gradient) {
    printf("{\"id\": \"%s\", \"results\": {", id);
    for (const json *name = quantities->first; name != NULL; name = name->next) {
        if (name != quantities->first) printf(", ");
        print_result(name->text, logits, strcmp(name->text, "value") == 0 ? value : gradient);
    }
    printf("}}\n");
}

/* Refuses every argument that the formula has no answer for; an answer to something else would be a wrong one. */
static int refuse_parameters(const char *id, const json *request, double *alpha, double *gamma) {
    const json *parameters = json_get(request, "parameters"), *quantities = json_get(request, "quantities");
    if (strcmp(json_text(request, "function"), "loss") != 0)
        return refuse(id, "function", json_text(request, "function"), "this program has loss");
    for (const json *name = quantities->first; name != NULL; name = name->next)
        if (strcmp(name->text, "value") != 0 && strcmp(name->text, "gradient") != 0)
            return refuse(id, "quantities", name->text, "allowed are value and gradient");
    for (const json *entry = parameters->first; entry != NULL; entry = entry->next) {
        int is_number = entry->kind == JSON_STRING && strlen(entry->text) == 16;
        if (strcmp(entry->key, "alpha") == 0) {
            *alpha = is_number ? from_bits(entry->text, 1) : NAN;
            if (entry->kind != JSON_NULL && !(*alpha >= 0 && *alpha <= 1))
                return refuse(id, "alpha", "another", "it is null or a number in [0, 1]");
        } else if (strcmp(entry->key, "gamma") == 0) {
            *gamma = is_number ? from_bits(entry->text, 1) : NAN;
            if (!(*gamma >= 0 && *gamma < INFINITY))
                return refuse(id, "gamma", "another", "it is a finite number, 0 or larger");
        } else if (strcmp(entry->key, "reduction") == 0) {
            const char *name = entry->kind == JSON_STRING ? entry->text : "";
            if (strcmp(name, "none") != 0) return refuse(id, "reduction", name, "allowed is none");
        } else {
            return refuse(id, entry->key, "a value", "this program has alpha, gamma and reduction");
        }
    }
    return 0;
}

static void run(const char *id, const json *request, formula *compute) {
    array logits = {0}, targets = {0};
    double alpha = NAN, gamma = 2, *results;
    if (refuse_parameters(id, request, &alpha, &gamma)) return;
    if (!read_array(json_get(request, "logits"), &logits)) {
        refuse(id, "logits", "another dtype", "allowed are float32 and float64");
    } else if (!read_array(json_get(request, "targets"), &targets) || targets.is_double != logits.is_double) {
        refuse(id, "targets", "another dtype", "it is that of the logits");
    } else if (!same_shape(logits.shape, targets.shape)) {
        refuse(id, "targets", "another shape", "it is that of the logits");
    } else {
        int is_hard = 1;
        results = malloc((2 * logits.count + 1) * sizeof *results);
        if (results == NULL) exit(1);
        for (size_t index = 0; index < logits.count; index++) {
            int positive = targets.numbers[index] == 1;
            double weight = isnan(alpha) ? 1 : positive ? alpha : 1 - alpha;
            is_hard = is_hard && (positive || targets.numbers[index] == 0);
            compute(logits.numbers[index], positive, weight, gamma, &results[index],
                    &results[logits.count + index]);
        }
        if (is_hard)
            print_results(id, json_get(request, "quantities"), &logits, results, results + logits.count);
        else
            refuse(id, "targets", "another number", "allowed are 0 and 1");
        free(results);
    }
    free(logits.numbers);
    free(targets.numbers);
}

/* Answers until `stop` or the end of standard input; the exit code of the program. */
static int serve(const char *name, formula *compute) {
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        json *request = json_parse(line);
        const char *command = json_text(request, "command"), *id = json_text(request, "id");
        int is_last = strcmp(command, "stop") == 0;
        if (request == NULL) {
            fprintf(stderr, "not a request\n");
            return 1;
        }
        if (strcmp(command, "start") == 0)
            printf("{\"id\": \"%s\", \"protocol\": %d}\n", id, PROTOCOL);
        else if (strcmp(command, "describe") == 0)
            printf("{\"id\": \"%s\", \"name\": \"%s\", \"version\": \"1.0\", \"implements\": "
                   "{\"dtypes\": [\"float64\", \"float32\"], \"quantities\": [\"value\", \"gradient\"]}}\n",
                   id, name);
        else if (strcmp(command, "run") == 0)
            run(id, request, compute);
        else if (!is_last)
            refuse(id, "command", command, "allowed are start, describe, run and stop");
        fflush(stdout);
        json_free(request);
        if (is_last) break;
    }
    free(line);
    return 0;
}

#endif
