/*
 * Uses the exported test vectors without focal-ref: cc -std=c11 -O2 -o check_bundle check_bundle.c -lm
 *
 *     check_bundle focal-ref-vectors/csv/focal.csv
 *
 * Computes value and gradient of every test of float64 and float32 with hard targets, and compares them within the number
 * of units that the bundle's README allows: 0.501 in float32, 16 + 4 gamma + 2 m in float64, and half a unit for the
 * rounding of the expected number. Exit code 0: all are met; 1: some are not; 2: the file cannot be used.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "focal.h"

enum { DTYPE, ENCODING, ALPHA, GAMMA, LOGIT, TARGET, VALUE, VALUE_UNIT, GRADIENT, GRADIENT_UNIT, SECOND, SECOND_UNIT, ID };

static const char *const HEAD = "dtype,encoding,alpha,gamma,logit,target,value,value_unit,gradient,gradient_unit,"
                                "second_derivative,second_derivative_unit,id";

static double from_bits(const char *digits) {
    uint64_t bits = strtoull(digits, NULL, 16);
    double number;
    if (strlen(digits) == 16) {
        memcpy(&number, &bits, sizeof number);
    } else {
        uint32_t narrow = (uint32_t)bits;
        float single;
        memcpy(&single, &narrow, sizeof single);
        number = single;
    }
    return number;
}

/* Whether a result is within `allowed` units of the expected one. */
static int agrees(double got, const char *expected_bits, const char *unit, double allowed) {
    double expected = from_bits(expected_bits);
    if (isnan(expected)) return isnan(got);
    if (isinf(expected) || *unit == '\0') return got == expected;
    return isfinite(got) && ldexp(fabs(got - expected), -atoi(unit)) <= allowed;
}

/* Splits a line at its commas; the last field may hold more of them. */
static int split(char *line, char **fields) {
    line[strcspn(line, "\r\n")] = '\0';
    for (int index = 0; index < ID; index++) {
        fields[index] = line;
        if ((line = strchr(line, ',')) == NULL) return 0;
        *line++ = '\0';
    }
    fields[ID] = line;
    return 1;
}

static int check(char **fields) {
    int is_double = strcmp(fields[DTYPE], "float64") == 0;
    int positive = from_bits(fields[TARGET]) == 1;
    double x = from_bits(fields[LOGIT]), gamma = from_bits(fields[GAMMA]);
    double alpha = strcmp(fields[ALPHA], "none") == 0 ? NAN : from_bits(fields[ALPHA]);
    double weight = isnan(alpha) ? 1 : positive ? alpha : 1 - alpha;
    double m = gamma * softplus(positive ? x : -x), allowed, value, gradient;
    if (weight == 0) {
        /* Also where the loss is infinite. */
        value = gradient = isnan(x) ? x : 0;
    } else {
        focal_loss(x, positive, weight, gamma, &value, &gradient);
    }
    if (is_double) {
        allowed = 16 + 4 * fmin(gamma, 1e9) + 2 * (isnan(m) ? 0 : fmin(m, 1e4)) + !isnan(alpha) + 0.5;
    } else {
        value = (float)value, gradient = (float)gradient;
        allowed = 0.501 + 0.5;
    }
    return agrees(value, fields[VALUE], fields[VALUE_UNIT], allowed) &&
           agrees(gradient, fields[GRADIENT], fields[GRADIENT_UNIT], allowed);
}

int main(int count, char **arguments) {
    static char line[4096];
    char *fields[ID + 1];
    long run = 0, failed = 0;
    FILE *file = count == 2 ? fopen(arguments[1], "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: check_bundle focal-ref-vectors/csv/focal.csv\n");
        return 2;
    }
    if (fgets(line, sizeof line, file) == NULL || strncmp(line, HEAD, strlen(HEAD)) != 0) {
        fprintf(stderr, "%s: does not begin with %s\n", arguments[1], HEAD);
        return 2;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (!split(line, fields)) {
            fprintf(stderr, "%s: line %ld has too few fields\n", arguments[1], run + 2);
            return 2;
        }
        if (strcmp(fields[ENCODING], "binary") != 0) continue;
        if (strcmp(fields[DTYPE], "float64") != 0 && strcmp(fields[DTYPE], "float32") != 0) continue;
        run++;
        if (!check(fields)) {
            if (failed++ < 10) printf("not met: %s\n", fields[ID]);
        }
    }
    fclose(file);
    if (run == 0) {
        fprintf(stderr, "%s: has no test of float64 or float32\n", arguments[1]);
        return 2;
    }
    printf("%ld of %ld tests met\n", run - failed, run);
    return failed > 0;
}
