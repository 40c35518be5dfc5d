/* The focal loss of a hard target and its derivative, without cancellation, in double precision. */
#ifndef FOCAL_H
#define FOCAL_H

#include <math.h>

/* log(1 + e^x), which neither overflows nor loses small results. */
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

/*
 * With the margin s = x for positives and -x for negatives, p_t = sigmoid(s):
 *   cross entropy       -log(p_t)       = softplus(-s)
 *   modulating factor   (1 - p_t)^gamma = exp(-gamma softplus(s))
 *   value               alpha_t (1 - p_t)^gamma (-log(p_t))
 *   d value / d s       -alpha_t (1 - p_t)^gamma (gamma p_t (-log(p_t)) + 1 - p_t)
 */
static void focal_loss(double x, int positive, double weight, double gamma, double *value, double *gradient) {
    double s = positive ? x : -x;
    double cross_entropy = softplus(-s), missed = softplus(s);
    double factor = gamma == 0 ? 1 : exp(-gamma * missed);
    double small = exp(-fabs(s)), large = 1 / (1 + small);
    double p_t = s >= 0 ? large : small * large, rest = s >= 0 ? small * large : large;
    /* At s = -infinity p_t vanishes faster than the cross entropy grows. */
    double both = isinf(cross_entropy) ? 0 : p_t * cross_entropy;
    double slope = -weight * factor * (gamma * both + rest);
    *value = weight * factor * cross_entropy;
    *gradient = positive ? slope : -slope;
}

#endif
