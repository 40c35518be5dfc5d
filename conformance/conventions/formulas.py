"""The printed formula of each convention in Arb, as sums of products: a modulating factor and a logarithm.

    loss = sum of A B,   A = weight (...)^gamma,   B = -log(...)

Both are power series in the variable, so that value and derivative come out of one product, and the magnitudes of the
terms A' B and A B', which cancel for soft targets, are known. Nothing here is shared with the closed forms.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flint import arb, arb_series

from focal_ref.conformance.family.balls import Probability, Undecided, power, sigmoid

Series = Any
Product = tuple[Series, Series]

_ONE = arb_series([1])
_ZERO = arb_series([0])


class Element(NamedTuple):
    """What the formula of one element is evaluated at.

    Attributes
    ----------
    logit
        Series of the logit; None where probabilities are predicted.
    p
        The probability that belongs to it.
    target
        Exact, as a float.
    numbers
        Hyper-parameters by name, as balls; alpha is absent if it is off.
    """

    logit: Series
    p: Probability
    target: float
    numbers: Mapping[str, Any]


def products(element: Element, conventions: Mapping[str, Any]) -> list[Product]:
    """The products whose sum is the loss of an element."""
    p = clipped(element.p, conventions["epsilon"]) if conventions["clipping"] == "probability" else element.p
    return _FORMULAS[conventions["formula"]](element._replace(p=p), conventions)


def positive(p: Probability, gamma: Any, conventions: Mapping[str, Any]) -> Product:
    """(1 - p)^gamma (-log p)."""
    return power(p.log_q, arb_series([gamma])), -logarithms(p, conventions)[0]


def clipped(p: Probability, epsilon: float) -> Probability:
    """The nearest probability that is epsilon away from 0 and 1."""
    if p.p[0] < epsilon:
        small = arb(epsilon)
        constants = (small, 1 - small, small.log(), (-small).log1p())
        return Probability(*(arb_series([number]) for number in constants))
    if p.q[0] < epsilon:
        return clipped(p.mirrored, epsilon).mirrored
    if p.p[0] >= epsilon and p.q[0] >= epsilon:
        return p
    raise Undecided("whether the probability is clipped")


def logarithms(p: Probability, conventions: Mapping[str, Any]) -> tuple[Series, Series]:
    """Logarithms of p and 1 - p as the cross entropy takes them."""
    epsilon = conventions["epsilon"]
    if conventions["clipping"] == "cross-entropy":
        p = clipped(p, epsilon)
    elif conventions["clipping"] == "logarithm":
        return _floored(p.p, p.log_p, epsilon), _floored(p.q, p.log_q, epsilon)
    elif conventions["clipping"] == "added":
        return (p.p + epsilon).log(), (p.q + epsilon).log()
    return p.log_p, p.log_q


def _floored(number: Series, logarithm: Series, epsilon: float) -> Series:
    if number[0] < epsilon:
        return arb_series([arb(epsilon).log()])
    if number[0] >= epsilon:
        return logarithm
    raise Undecided("whether the logarithm is clipped")


def weight_of(target: float, alpha: Any, meaning: str) -> Any:
    """alpha_t of an element, as a ball; `alpha` is None where it is off."""
    t = arb(target)
    if alpha is None or meaning == "none":
        return arb(1)
    if meaning == "pos/1-pos":
        # Exactly alpha and 1 - alpha for hard targets.
        return alpha if target == 1 else 1 - alpha if target == 0 else alpha * t + (1 - alpha) * (1 - t)
    if meaning == "pos-only":
        return alpha * t + (1 - t)
    if meaning == "neg-only":
        return t + alpha * (1 - t)
    if meaning == "uniform":
        return alpha
    raise ValueError(f"alpha: got {meaning!r}; it has no meaning for single elements")


def weight_of_class(label: int, alpha: Any, meaning: str) -> Any:
    """alpha_t of a class of a softmax; `alpha` is a ball, or one a class."""
    if alpha is None or meaning == "none":
        return arb(1)
    if meaning == "uniform":
        return alpha
    if meaning == "first/rest":
        return 1 - alpha if label == 0 else alpha
    if meaning == "class-vector":
        return alpha[label]
    raise ValueError(f"alpha: got {meaning!r}; it has no meaning for the classes of a softmax")


def _focal(element: Element, conventions: Mapping[str, Any]) -> list[Product]:
    rule, gamma, p, target = conventions["soft_targets"], element.numbers["gamma"], element.p, element.target
    hard = target in (0, 1)
    if rule == "mixture" or (hard and rule != "distance"):
        halves = [(1.0, arb(target), p), (0.0, 1 - arb(target), p.mirrored)]
        return [
            _weighted(positive(side, gamma, conventions), share * _weight(element, hard_target, conventions))
            for hard_target, share, side in halves
            if share != 0
        ]
    if rule == "unsupported":
        raise ValueError(f"target {target!r}: soft targets are not supported by the declared conventions")
    t = arb_series([arb(target)])
    log_p, log_q = logarithms(p, conventions)
    if rule == "blended":
        factor = power((p.p * (1 - t) + p.q * t).log(), arb_series([gamma]))
    else:
        factor = _distance(p, target, gamma)
    factor = factor * _weight(element, target, conventions)
    return [(factor * t, -log_p), (factor * (1 - t), -log_q)]


def _distance(p: Probability, target: float, exponent: Any) -> Series:
    """|t - p|^exponent."""
    if exponent == 0:
        return _ONE
    if target in (0, 1):
        return power(p.log_q if target == 1 else p.log_p, arb_series([exponent]))
    t = arb_series([arb(target)])
    distance = t * p.q - (1 - t) * p.p
    if distance[0] == 0:
        # Its derivative there is 0 too, or of both signs; see FL-REL-004.
        return _ZERO
    if distance[0] < 0:
        distance = -distance
    elif not distance[0] > 0:
        raise Undecided("whether the target is above the probability")
    return power(distance.log(), arb_series([exponent]))


def _star(element: Element, conventions: Mapping[str, Any]) -> list[Product]:
    gamma, beta = element.numbers["gamma"], element.numbers["beta"]
    margin = element.logit if element.target == 1 else -element.logit
    weight = _weight(element, element.target, conventions) / gamma
    return [(arb_series([weight]), -sigmoid(gamma * margin + beta).log_p)]


def _quality(element: Element, conventions: Mapping[str, Any]) -> list[Product]:
    t = arb_series([arb(element.target)])
    log_p, log_q = logarithms(element.p, conventions)
    factor = _distance(element.p, element.target, element.numbers["beta"])
    pairs = [(element.target, (factor * t, -log_p)), (1 - element.target, (factor * (1 - t), -log_q))]
    return [pair for share, pair in pairs if share]


def _varifocal(element: Element, conventions: Mapping[str, Any]) -> list[Product]:
    log_p, log_q = logarithms(element.p, conventions)
    t = arb_series([arb(element.target)])
    if element.target > 0:
        return [(t * t, -log_p), (t * (1 - t), -log_q)] if element.target < 1 else [(t, -log_p)]
    factor = power(element.p.log_p, arb_series([element.numbers["gamma"]]))
    return [(factor * element.numbers.get("alpha", arb(1)), -log_q)]


def _asymmetric(element: Element, conventions: Mapping[str, Any]) -> list[Product]:
    p, clip, target = element.p, element.numbers["clip"], element.target
    pairs = []
    if target:
        pairs.append(_weighted(positive(p, element.numbers["gamma_positive"], conventions), arb(target)))
    if target == 1:
        return pairs
    gamma = element.numbers["gamma_negative"]
    if clip == 0:
        pairs.append(_weighted(positive(p.mirrored, gamma, conventions), 1 - arb(target)))
    elif p.p[0] > clip:
        moved = p.p - clip
        shifted = Probability(moved, p.q + clip, moved.log(), (p.q + clip).log())
        pairs.append(_weighted(positive(shifted.mirrored, gamma, conventions), 1 - arb(target)))
    elif not p.p[0] <= clip:
        raise Undecided("whether the probability is above the clip")
    return pairs


def _heatmap(element: Element, conventions: Mapping[str, Any]) -> list[Product]:
    gamma = element.numbers["gamma"]
    if element.target == 1:
        return [positive(element.p, gamma, conventions)]
    penalty = (1 - arb(element.target)) ** element.numbers["beta"]
    return [_weighted(positive(element.p.mirrored, gamma, conventions), penalty)]


def _weight(element: Element, target: float, conventions: Mapping[str, Any]) -> Any:
    return weight_of(target, element.numbers.get("alpha"), conventions["alpha"])


def _weighted(pair: Product, weight: Any) -> Product:
    return (pair[0] * weight, pair[1]) if weight != 0 else (_ZERO, _ZERO)


_FORMULAS = {
    "focal": _focal,
    "star": _star,
    "quality": _quality,
    "varifocal": _varifocal,
    "asymmetric": _asymmetric,
    "heatmap": _heatmap,
}
