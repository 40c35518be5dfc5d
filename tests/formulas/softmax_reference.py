"""Rows for the tests of the softmax focal loss, its results by name, and what these must be by the printed formula."""

from typing import NamedTuple

import numpy as np
from array_api_compat import numpy as numpy_namespace
from mpmath import mp, mpf

from focal_ref._formulas import softmax

QUANTITIES = ("value", "gradient", "gamma", "share", "curvature", "second_derivative")


def evaluated(logits, shares, gamma, direction=None, xp=numpy_namespace, *, encoding="shares", narrowed=False):
    """All quantities as NumPy arrays, by name; with labels, these are where a share is not zero."""
    logits, shares = np.asarray(logits, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    direction = np.zeros_like(logits) if direction is None else np.asarray(direction, dtype=np.float64)
    z, t, g, v = (xp.asarray(np.asarray(array, dtype=np.float64)) for array in (logits, shares, gamma, direction))
    with np.errstate(all="ignore"):
        if encoding == "labels":
            kind = "label"
            arguments = (z, xp.asarray(shares != 0.0), xp.asarray(shares.sum(axis=-1, keepdims=True)), g)
            share_derivative = softmax.label_share_derivative(xp, *arguments[:2], g)
        else:
            kind = "row"
            arguments = (z, t, g)
            share_derivative = softmax.row_share_derivative(xp, z, g)

        def quantity(name, *more, **options):
            return getattr(softmax, f"{kind}_{name}")(xp, *arguments, *more, **options)

        value, gradient = quantity("value_and_gradient", narrowed=narrowed)
        results = (value, gradient, quantity("gamma_derivative"), share_derivative, quantity("curvature", v))
        results = dict(zip(QUANTITIES, (*results, quantity("second_derivative")), strict=True))
    for name, result in results.items():
        assert result.dtype == z.dtype
        assert result.shape == (logits.shape[:-1] if name == "value" else logits.shape)
    return {name: np.asarray(result) for name, result in results.items()}


class Exact(NamedTuple):
    """Quantities of one row, and the scales of what cancels in them: the sums of the magnitudes of their terms."""

    value: mpf
    gradient: list
    gradient_scale: list
    gamma: list
    share: list
    curvature: list
    curvature_scale: list


def digits(logits):
    """Decimal digits that leave sixty where 1 - p and the chain rule of the Hessian cancel."""
    return 60 + int(1.5 * (max(logits) - min(logits)))


def probabilities(logits):
    exponentials = [mp.exp(z) for z in logits]
    total = mp.fsum(exponentials)
    return [exponential / total for exponential in exponentials]


def printed_loss(logits, shares, gamma):
    """The loss as it is printed; no other formula is needed where there are digits enough."""
    return mp.fsum(
        share * (1 - p) ** gamma * -mp.log(p) for share, p in zip(shares, probabilities(logits), strict=True) if share
    )


def exact(logits, shares, gamma, direction):
    """All quantities of one row, by the chain rule through p alone.

    With ``L(p) = (1 - p)^gamma (-log p)`` and ``P = p.v``: ``dp_i/dz_j = p_i (delta_ij - p_j)``, the gradient is
    ``G_j - p_j sum(G)`` where ``G_i = share_i L'(p_i) p_i``, and H v is its derivative along ``dp_i = p_i (v_i - P)``.
    """
    with mp.workdps(digits(logits)):
        z, t, v = ([mpf(float(number)) for number in numbers] for numbers in (logits, shares, direction))
        gamma = mpf(float(gamma))
        p = probabilities(z)
        if len(z) == 1:
            zero = [mpf(0)]
            return Exact(mpf(0), zero, zero, zero, zero, zero, zero)
        zeros = [mpf(0)] * len(z)
        loss, slope, bend, log_modulated, own, k, b = (list(zeros) for _ in range(7))
        center = mp.fsum(x * y for x, y in zip(p, v, strict=True))
        magnitude = mp.fsum(x * abs(y) for x, y in zip(p, v, strict=True))
        moved = [x * (y - center) for x, y in zip(p, v, strict=True)]
        for i, share in enumerate(t):
            if not share:
                continue
            q, c = 1 - p[i], -mp.log(p[i])
            w = q**gamma
            loss[i], log_modulated[i] = w * c, share * w * c * mp.log(q)
            first = -gamma * w / q * c - w / p[i]
            second = gamma * (gamma - 1) * w / q**2 * c + 2 * gamma * w / q / p[i] + w / p[i] ** 2
            slope[i] = share * first * p[i]
            bend[i] = share * (second * p[i] + first) * moved[i]
            # Scale of the Hessian: the magnitudes in f'' (v_i - pi.v)(e_i - pi) and in f' (pi v - pi (pi.v)).
            mean = (magnitude - p[i] * abs(v[i])) / q
            curved = share * w * p[i] * (gamma * c * (gamma * p[i] + q) + (2 * gamma + 1) * q)
            own[i] = curved * (abs(v[i]) + mean)
            k[i] = share * w * (gamma * p[i] * c + q) / q
            b[i] = own[i] / q + k[i] * mean
        total, bent, all_k, all_b = (mp.fsum(terms) for terms in (slope, bend, k, b))
        columns = list(zip(p, slope, bend, moved, strict=True))
        scales = zip(p, own, k, b, v, strict=True)
        return Exact(
            value=mp.fsum(x * y for x, y in zip(t, loss, strict=True)),
            gradient=[s - x * total for x, s, _, _ in columns],
            gradient_scale=[(1 - x) * -s + x * (s - total) for x, s, _, _ in columns],
            gamma=log_modulated,
            share=loss,
            curvature=[h - m * total - x * bent for x, _, h, m in columns],
            curvature_scale=[o + x * ((all_b - y) + (all_k - m) * abs(d)) for x, o, m, y, d in scales],
        )


def error_in_ulps(found, number, scale, *, precision=53, smallest=-1074):
    """Distance in units in the last place of the scale, which are no finer than the smallest subnormal number."""
    unit = smallest if scale == 0 else max(mp.frexp(scale)[1] - precision, smallest)
    with mp.workdps(60):
        return float(abs(mpf(float(found)) - number) / mpf(2) ** unit)


FLOAT32 = {"precision": 24, "smallest": -149}


def assert_within(found, wanted, scales, ulps, where, **format):
    """Each number of a row is within so many units in the last place of its scale."""
    for index, (number, exact_number, scale) in enumerate(zip(found, wanted, scales, strict=True)):
        error = error_in_ulps(number, exact_number, scale, **format)
        assert error <= ulps, f"{where} [{index}]: {error:.5g} ulp: {number!r}, not {float(exact_number)!r}"


def assert_all_within(logits, shares, gamma, ulps, xp=numpy_namespace, *, encoding="shares", seed=0):
    """Every quantity of every row is within its bound."""
    directions = np.random.default_rng(seed).normal(size=np.shape(logits))
    found = evaluated(logits, shares, gamma, directions, xp, encoding=encoding)
    for row, arguments in enumerate(zip(logits, shares, directions, strict=True)):
        wanted = exact(arguments[0], arguments[1], gamma, arguments[2])
        where = f"{arguments[0]}, {arguments[1]}, gamma {gamma}"
        assert_within([found["value"][row]], [wanted.value], [wanted.value], ulps, where)
        assert_within(found["gradient"][row], wanted.gradient, wanted.gradient_scale, ulps, where)
        assert_within(found["curvature"][row], wanted.curvature, wanted.curvature_scale, ulps, where)
        assert_within(found["gamma"][row], wanted.gamma, wanted.gamma, ulps, where)
        shared = [slope for slope, share in zip(found["share"][row], arguments[1], strict=True) if share]
        slopes = [slope for slope, share in zip(wanted.share, arguments[1], strict=True) if share]
        assert_within(shared, slopes, slopes, ulps, where)


def some_rows(classes, spread, *, seed=0, dtype=np.float64):
    """Rows of logits, and shares of one class each: the most and the second most likely, and any."""
    generator = np.random.default_rng([seed, classes, int(spread)])
    logits = generator.uniform(-spread / 2, spread / 2, (3, classes)).astype(dtype).astype(np.float64)
    order = np.argsort(logits, axis=-1)
    labels = [order[0, -1], order[1, max(-2, -classes)], generator.integers(classes)]
    shares = np.zeros((3, classes))
    shares[range(3), labels] = [1.0, 0.25, 0.75]
    return logits, shares


def soft_shares(shape, seed=0):
    """Positive shares, some of them tiny or zero."""
    generator = np.random.default_rng([seed, *shape])
    return generator.dirichlet(np.ones(shape[-1]), shape[:-1]) * generator.choice([1.0, 1.0, 1e-8, 0.0], shape)


def assert_same_bits(found, wanted):
    found, wanted = np.ascontiguousarray(found), np.ascontiguousarray(wanted)
    both_nan = np.isnan(found) & np.isnan(wanted)
    assert np.all(both_nan | (found.view(np.int64) == wanted.view(np.int64))), (found, wanted)
