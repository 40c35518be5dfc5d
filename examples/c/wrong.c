/* A focal loss with a common mistake: cc -std=c11 -O2 -o wrong wrong.c -lm */
#include "protocol.h"

/*
 * Probabilities first. Where the sigmoid rounds to 1, so does p_t, and 1 - p_t and log(p_t) are exactly 0: every
 * confident element loses its loss and its derivative.
 */
static void probabilities_first(double x, int positive, double weight, double gamma, double *value, double *gradient) {
    double p = 1 / (1 + exp(-x));
    double p_t = positive ? p : 1 - p;
    double factor = pow(1 - p_t, gamma);
    double slope = -weight * factor * (gamma * p_t * -log(p_t) + (1 - p_t));
    *value = weight * factor * -log(p_t);
    *gradient = positive ? slope : -slope;
}

int main(void) { return serve("c-wrong", probabilities_first); }
