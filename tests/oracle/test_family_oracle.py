"""The oracle of the other losses: facts that their papers state, special values, and agreement with Arb."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from focal_ref.conformance import oracle as paper
from focal_ref.conformance.family.certify import bulk, certified_bits
from focal_ref.conformance.family.functions import FUNCTIONS, IGNORE, quantities_of
from focal_ref.conformance.family.oracle import quantity, rounded
from focal_ref.conformance.formats import FORMATS, in_ulps

FLOAT64 = FORMATS["float64"]
INF = math.inf
LN2 = "0.693147180559945309417232121458176568075500134360255254120680009493393621969694715605863"
LOGITS = (-40.0, -3.0, -0.25, 0.0, 1.5, 30.0)
ORDERS = {"value": paper.loss, "gradient": paper.gradient, "second_derivative": paper.second_derivative}
every_order = pytest.mark.parametrize("name", ORDERS)


def close(number: Any, expected: Any, digits: int = 55) -> bool:
    with mp.workdps(400):
        difference = abs(mp.mpf(number) - mp.mpf(expected))
        return bool(difference <= abs(mp.mpf(expected)) * mp.mpf(10) ** -digits)


def sigmoid(x: float) -> Any:
    return 1 / (1 + mp.exp(-mp.mpf(x)))


def star(**changed: float | None) -> dict[str, Any]:
    return {"alpha": None, "gamma": 2.0, "beta": 1.0, **changed}


def asymmetric(**changed: float) -> dict[str, Any]:
    return {"gamma_positive": 0.0, "gamma_negative": 4.0, "clip": 0.05, **changed}


@pytest.mark.parametrize("x", LOGITS)
@pytest.mark.parametrize("y", [-1, 1])
def test_the_gradient_of_the_star_loss_is_that_of_the_papers_appendix(x: float, y: int) -> None:
    with mp.workdps(200):
        p_t_star = sigmoid(2 * y * x + 1)
        assert close(quantity("star_loss", "gradient", (x, (y + 1) // 2), star()), y * (p_t_star - 1))


def test_the_star_loss_with_gamma_1_and_beta_0_is_cross_entropy() -> None:
    parameters = star(gamma=1.0, beta=0.0)
    for x in LOGITS:
        for target in (0, 1):
            assert close(quantity("star_loss", "value", (x, target), parameters), paper.loss(x, target, None, 0))


def test_the_star_loss_of_a_huge_wrong_logit_has_the_finite_derivative_beta_over_gamma_squared() -> None:
    for x in (-INF, -1e308, -65504.0):
        assert close(quantity("star_loss", "gamma", (x, 1), star(beta=0.5)), mp.mpf(1) / 8)
    assert quantity("star_loss", "beta", (INF, 0), star()) == -0.5
    assert quantity("star_loss", "value", (INF, 0), star()) == mp.inf


@every_order
@pytest.mark.parametrize("x", LOGITS)
@pytest.mark.parametrize("target", [0, 1])
def test_hard_targets_make_focal_losses_of_the_others(name: str, x: float, target: int) -> None:
    expected = ORDERS[name](x, target, None, 2)
    focal = {
        "quality_focal_loss": {"beta": 2.0},
        "heatmap_focal_loss": {"gamma": 2.0, "beta": 4.0},
        "asymmetric_loss": asymmetric(gamma_positive=2.0, gamma_negative=2.0, clip=0.0),
        "loss": {"alpha": None, "gamma": 2.0},
    }
    for function, parameters in focal.items():
        assert close(quantity(function, name, (x, target), parameters), expected), function


@every_order
@pytest.mark.parametrize("x", LOGITS)
def test_the_varifocal_loss_is_cross_entropy_of_certain_positives_and_focal_loss_of_negatives(
    name: str, x: float
) -> None:
    parameters = {"alpha": 0.75, "gamma": 2.0}
    assert close(quantity("varifocal_loss", name, (x, 1), parameters), ORDERS[name](x, 1, None, 0))
    with mp.workdps(200):
        expected = mp.mpf(3) / 4 * ORDERS[name](x, 0, None, 2)
    assert close(quantity("varifocal_loss", name, (x, 0), parameters), expected)


@pytest.mark.parametrize("target", [0.25, 0.75])
def test_the_varifocal_loss_weighs_soft_positives_by_their_target(target: float) -> None:
    parameters = {"alpha": 0.75, "gamma": 2.0}
    with mp.workdps(100):
        expected = target * paper.loss(1.5, target, None, 0)
        slope = target * (sigmoid(1.5) - target)
        both = paper.loss(1.5, target, None, 0) - target * mp.mpf(1.5)
    assert close(quantity("varifocal_loss", "value", (1.5, target), parameters), expected)
    assert close(quantity("varifocal_loss", "gradient", (1.5, target), parameters), slope)
    assert close(quantity("varifocal_loss", "targets", (1.5, target), parameters), both)
    assert quantity("varifocal_loss", "gamma", (1.5, target), parameters) == 0


def test_probabilities_below_the_clip_of_the_asymmetric_loss_are_discarded() -> None:
    # sigmoid(-3) = 0.047
    for name in quantities_of("asymmetric_loss", asymmetric()):
        if name not in ("targets",):
            assert quantity("asymmetric_loss", name, (-3.0, 0), asymmetric()) == 0
    assert quantity("asymmetric_loss", "value", (-2.9, 0), asymmetric()) > 0


def test_the_gradient_of_a_shifted_negative_is_the_one_that_the_paper_analyses() -> None:
    with mp.workdps(150):
        p = sigmoid(0.5)
        p_m = p - mp.mpf(0.05)
        expected = p * (1 - p) * p_m**4 * (1 / (1 - p_m) - 4 * mp.log(1 - p_m) / p_m)
    assert close(quantity("asymmetric_loss", "gradient", (0.5, 0), asymmetric()), expected)


def test_the_asymmetric_loss_is_bounded_only_with_a_clip() -> None:
    with mp.workdps(100):
        # p_m = 0.95 in the limit; the clip is the float next to 0.05.
        p_m = 1 - mp.mpf(0.05)
        assert close(quantity("asymmetric_loss", "value", (INF, 0), asymmetric()), -(p_m**4) * mp.log(1 - p_m))
    assert quantity("asymmetric_loss", "value", (INF, 0), asymmetric(clip=0.0)) == mp.inf


def test_heatmap_negatives_near_a_centre_weigh_less_by_a_power_of_their_distance_to_1() -> None:
    parameters = {"gamma": 2.0, "beta": 4.0}
    with mp.workdps(100):
        focal = paper.loss(-1.0, 0, None, 2)
        assert close(quantity("heatmap_focal_loss", "value", (-1.0, 0.5), parameters), focal / 16)
        assert close(quantity("heatmap_focal_loss", "targets", (-1.0, 0.5), parameters), -focal / 2)
        assert close(quantity("heatmap_focal_loss", "beta", (-1.0, 0.5), parameters), -mp.mpf(LN2) * focal / 16)
    for name in ("targets", "beta"):
        assert quantity("heatmap_focal_loss", name, (-1.0, 1), parameters) == 0


def test_the_quality_focal_loss_vanishes_where_the_probability_is_the_target() -> None:
    for beta in (0.5, 1.0, 2.0, 3.0):
        for name in ("value", "gradient", "targets", "beta"):
            assert quantity("quality_focal_loss", name, (0.0, 0.5), {"beta": beta}) == 0
    bend = {0.5: mp.ninf, 1.0: 0, 1.5: mp.inf, 3.0: 0}
    for beta, expected in bend.items():
        assert quantity("quality_focal_loss", "second_derivative", (0.0, 0.5), {"beta": beta}) == expected
    with mp.workdps(80):
        number = quantity("quality_focal_loss", "second_derivative", (0.0, 0.5), {"beta": 2.0})
        assert close(number, mp.mpf(LN2) / 8)


def test_the_quality_focal_loss_without_beta_is_cross_entropy_with_soft_targets() -> None:
    with mp.workdps(80):
        assert close(quantity("quality_focal_loss", "gradient", (1.5, 0.25), {"beta": 0.0}), sigmoid(1.5) - 0.25)
        assert quantity("quality_focal_loss", "targets", (1.5, 0.25), {"beta": 0.0}) == -1.5
    assert quantity("quality_focal_loss", "gradient", (0.0, 0.5), {"beta": 0.0}) == 0


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_parameter_derivatives_of_the_focal_loss_at_zero_are_the_closed_expressions(gamma: float) -> None:
    with mp.workdps(80):
        ln2, factor = mp.mpf(LN2), mp.mpf(2) ** -mp.mpf(gamma)
        for target, sign in ((0, -1), (1, 1)):
            parameters = {"alpha": 0.25, "gamma": gamma}
            weight = mp.mpf(1) / 4 if target else mp.mpf(3) / 4
            assert close(quantity("loss", "alpha", (0.0, target), parameters), sign * factor * ln2)
            assert close(quantity("loss", "gamma", (0.0, target), parameters), -weight * factor * ln2**2)
            # Neither p_t nor the cross entropy depends on the target there: what is left is alpha_t.
            assert close(quantity("loss", "targets", (0.0, target), parameters), -factor * ln2 / 2)
    assert quantity("loss", "targets", (0.0, 1), {"alpha": None, "gamma": gamma}) == 0


def test_the_loss_of_a_probability_is_the_documented_number_and_obeys_the_chain_rule() -> None:
    parameters = {"alpha": None, "gamma": 2.0}
    p = Fraction(9, 10)
    assert close(quantity("loss_from_probabilities", "value", (p, 1), parameters), "0.00105360515658", 11)
    for target in (0, 1, 0.25):
        # p = 1/2 at the logit 0: dp/dx = 1/4 and d2p/dx2 = 0.
        for name, factor in (("value", 1), ("gradient", 4), ("second_derivative", 16)):
            number = quantity("loss_from_probabilities", name, (0.5, target), parameters)
            with mp.workdps(80):
                assert close(number, factor * ORDERS[name](0.0, target, None, 2))


def test_certain_probabilities_give_one_sided_limits() -> None:
    def number(name: str, p: float, target: float, gamma: float) -> Any:
        return quantity("loss_from_probabilities", name, (p, target), {"alpha": 0.25, "gamma": gamma})

    assert number("value", 0.0, 1, 2.0) == mp.inf
    assert number("gradient", 0.0, 1, 2.0) == mp.ninf
    assert number("value", 1.0, 1, 2.0) == number("gradient", 1.0, 1, 2.0) == 0
    assert close(number("gradient", 1.0, 1, 0.0), -0.25)
    assert close(number("second_derivative", 1.0, 1, 0.0), 0.25)
    # (1 - p)^gamma (-log p) is (1 - p)^(gamma + 1) at p = 1.
    assert number("second_derivative", 1.0, 1, 0.5) == mp.inf
    assert close(number("second_derivative", 1.0, 1, 1.0), 0.5)
    assert number("second_derivative", 1.0, 1, 2.0) == 0
    assert number("value", -0.0, 0, 2.0) == 0
    assert number("value", 1.0, 0.5, 2.0) == mp.inf


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("margin", [-30.0, -0.5, 2.0, 40.0])
def test_two_classes_are_the_binary_loss_of_the_difference(gamma: float, margin: float) -> None:
    parameters = {"alpha": None, "gamma": gamma}
    inputs = ((0.25, 0.25 + margin), 1)
    assert close(quantity("softmax_loss", "value", inputs, parameters), paper.loss(margin, 1, None, gamma))
    first, second = quantity("softmax_loss", "gradient", inputs, parameters)
    assert close(second, paper.gradient(margin, 1, None, gamma))
    with mp.workdps(80):
        assert close(first, -second)
    matrix = quantity("softmax_loss", "second_derivative", inputs, parameters)
    bend = paper.second_derivative(margin, 1, None, gamma)
    with mp.workdps(80):
        for j, k, sign in ((0, 0, 1), (0, 1, -1), (1, 0, -1), (1, 1, 1)):
            assert close(matrix[j][k], sign * bend)


def test_without_gamma_a_row_has_the_cross_entropy_of_its_softmax() -> None:
    row, shares = (1.0, -2.0, 0.5), (0.5, 0.25, 0.25)
    parameters = {"alpha": None, "gamma": 0.0}
    with mp.workdps(100):
        exponentials = [mp.exp(mp.mpf(z)) for z in row]
        softmax = [e / sum(exponentials) for e in exponentials]
        value = -sum(t * mp.log(p) for t, p in zip(shares, softmax, strict=True))
        slopes = [p - t for t, p in zip(shares, softmax, strict=True)]
    assert close(quantity("softmax_loss", "value", (row, 1), parameters), -mp.log(softmax[1]), 14)
    assert close(quantity("softmax_loss", "value", (row, shares), parameters), value)
    for got, expected in zip(quantity("softmax_loss", "gradient", (row, shares), parameters), slopes, strict=True):
        assert close(got, expected)


def test_class_weights_multiply_the_terms_of_their_class() -> None:
    row, weights = (0.5, -1.0, 2.0), (0.25, 2.0, 0.0)
    weighted = {"alpha": weights, "gamma": 2.0}
    terms = [quantity("softmax_loss", "value", (row, label), {"alpha": None, "gamma": 2.0}) for label in range(3)]
    with mp.workdps(100):
        for label in range(3):
            value = quantity("softmax_loss", "value", (row, label), weighted)
            assert value == 0 if weights[label] == 0 else close(value, weights[label] * terms[label])
        shares = (0.5, 0.25, 0.25)
        in_targets = quantity("softmax_loss", "targets", (row, shares), weighted)
        in_alpha = quantity("softmax_loss", "alpha", (row, shares), weighted)
        for i in range(3):
            assert in_targets[i] == 0 if weights[i] == 0 else close(in_targets[i], weights[i] * terms[i])
            assert close(in_alpha[i], shares[i] * terms[i])


def test_one_class_and_ignored_rows_have_no_loss_but_a_nan_spreads() -> None:
    parameters = {"alpha": None, "gamma": 2.0}
    assert quantity("softmax_loss", "value", ((3.0,), 0), parameters) == 0
    assert quantity("softmax_loss", "gradient", ((math.nan, 1.0), IGNORE), parameters) == [0, 0]
    assert all(map(mp.isnan, quantity("softmax_loss", "gradient", ((math.nan, 1.0), 1), parameters)))


def test_infinite_logits_of_a_row_give_limits() -> None:
    parameters = {"alpha": None, "gamma": 2.0}
    masked = quantity("softmax_loss", "gradient", ((-INF, 1.0, 0.0), 1), parameters)
    two = quantity("softmax_loss", "gradient", ((1.0, 0.0), 0), parameters)
    assert masked[0] == 0
    assert close(masked[1], two[0])
    assert close(masked[2], two[1])
    assert quantity("softmax_loss", "value", ((-INF, 1.0, 0.0), 0), parameters) == mp.inf
    assert quantity("softmax_loss", "gradient", ((INF, 1.0, 0.0), 2), parameters) == [1, 0, -1]
    assert quantity("softmax_loss", "value", ((INF, 1.0, 0.0), 0), parameters) == 0


def test_nothing_is_weighed_that_has_no_weight() -> None:
    assert quantity("loss", "gamma", (-INF, 1), {"alpha": 0.0, "gamma": 2.0}) == 0
    assert quantity("loss", "alpha", (-INF, 1), {"alpha": 0.0, "gamma": 2.0}) == mp.inf
    assert quantity("star_loss", "value", (INF, 0), star(alpha=1.0)) == 0
    assert quantity("varifocal_loss", "value", (INF, 0), {"alpha": 0.0, "gamma": 2.0}) == 0
    assert quantity("varifocal_loss", "value", (0.0, 1), {"alpha": 0.0, "gamma": 2.0}) > 0


@pytest.mark.parametrize(
    ("function", "name", "inputs", "parameters", "message"),
    [
        ("focal", "value", (0.0, 1), {}, "known are loss, loss_from_probabilities"),
        ("loss", "alpha", (0.0, 1), {"alpha": None, "gamma": 2.0}, "has no quantity 'alpha'"),
        ("loss", "beta", (0.0, 1), {"alpha": 0.25, "gamma": 2.0}, "has no quantity 'beta'"),
        ("loss", "gamma", (0.0, 1), {"gamma": 2.0}, "takes the parameters"),
        ("loss", "gamma", (0.0, 1.5), {"alpha": 0.25, "gamma": 2.0}, "target 1.5"),
        ("star_loss", "value", (0.0, 0.5), star(), "target 0.5"),
        ("star_loss", "value", (0.0, 1), star(gamma=0.0), "gamma of star_loss is out of range"),
        ("varifocal_loss", "value", (0.0, 1), {"alpha": None, "gamma": 2.0}, "alpha of varifocal_loss"),
        ("asymmetric_loss", "value", (0.0, 1), asymmetric(clip=1.0), "clip of asymmetric_loss"),
        ("loss_from_probabilities", "value", (1.5, 1), {"alpha": None, "gamma": 2.0}, "probability must be in"),
        ("softmax_loss", "value", ((0.0, 1.0), 2), {"alpha": None, "gamma": 2.0}, "label 2"),
        ("softmax_loss", "value", ((0.0, 1.0), 1), {"alpha": [1.0], "gamma": 2.0}, "1 class weights for 2 logits"),
        ("softmax_loss", "targets", ((0.0, 1.0), 1), {"alpha": None, "gamma": 2.0}, "no quantity 'targets'"),
    ],
)
def test_arguments_out_of_range_are_refused(
    function: str, name: str, inputs: tuple[Any, ...], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        quantity(function, name, inputs, parameters)


def random_case(function: str, source: random.Random) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs and parameters, ordinary ones and ends of the ranges."""
    exponents = [0.0, 0.5, 1.0, 2.0, 2.5, 5.0]
    choices: dict[str, list[Any]] = {
        "alpha": [0.0, 0.25, 1.0] if function == "varifocal_loss" else [None, 0.0, 0.25, 1.0],
        "gamma": exponents[1:] if function == "star_loss" else exponents,
        "beta": [-1.0, 0.0, 1.0] if function == "star_loss" else exponents,
        "gamma_positive": exponents,
        "gamma_negative": exponents,
        "clip": [0.0, 0.05, 0.2],
    }
    parameters = {key: source.choice(choices[key]) for key in FUNCTIONS[function].parameters}
    if function == "softmax_loss":
        classes = source.choice([2, 3])
        row = [source.gauss(0, source.choice([1, 10, 300])) for _ in range(classes)]
        row[0] = source.choice([row[0], row[0], -INF, 65504.0])
        parameters["alpha"] = source.choice([None, [source.choice([0.0, 0.25, 2.0]) for _ in row]])
        soft = [source.choice([0.0, 1.0, 0.3, 1e-6]) for _ in row]
        return (row, source.choice([soft, source.randrange(classes)])), parameters
    target = source.choice([0.0, 1.0] if function == "star_loss" else [0.0, 1.0, 0.5, 0.3, 1e-6, 1 - 2.0**-53])
    if function == "loss_from_probabilities":
        return (source.choice([0.0, 1.0, source.random(), 1e-300, 1 - 2.0**-53]), target), parameters
    spread = source.choice([1, 10, 100])
    return (
        source.choice([source.gauss(0, spread), source.gauss(0, spread), 0.0, 1e-300, INF, -1e308]),
        target,
    ), parameters


@pytest.mark.parametrize("function", FUNCTIONS)
def test_oracle_and_arb_agree_at_random_points(function: str) -> None:
    source = random.Random(function)
    for index in range(10):
        inputs, parameters = random_case(function, source)
        names = quantities_of(function, parameters, inputs)
        # One quantity of each point: what differs between points differs between quantities as well.
        name = names[index % len(names)]
        format = FORMATS[source.choice(list(FORMATS))]
        got = rounded(function, name, inputs, parameters, format)
        expected = certified_bits(function, name, inputs, parameters, format)
        for one, other in zip(flattened(got), flattened(expected), strict=True):
            both_zero = {one, other} <= {0, format.sign_bit}
            assert one == other or both_zero, (name, inputs, parameters, format.name)


@pytest.mark.parametrize("name", ["value", "gradient", "second_derivative", "beta", "targets"])
def test_oracle_and_arb_agree_where_a_first_precision_is_not_enough(name: str) -> None:
    # The float next to the logit of 0.3: the distance to the probability has lost 54 bits.
    arguments = ("quality_focal_loss", name, (-0.8472978603872036, 0.3), {"beta": 2.5}, FLOAT64)
    assert certified_bits(*arguments) == rounded(*arguments)


def flattened(entries: Any) -> list[Any]:
    return [number for entry in entries for number in flattened(entry)] if isinstance(entries, list) else [entries]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_truth_in_bulk_is_the_oracles_to_a_fraction_of_an_ulp(function: str) -> None:
    source = random.Random(f"bulk {function}")
    if function == "softmax_loss":
        logits = np.array([[source.gauss(0, 5) for _ in range(3)] for _ in range(3)])
        inputs: tuple[Any, ...] = (logits, np.array([[0.5, 0.0, 0.5], [1.0, 0.0, 0.0], [0.25, 0.25, 0.5]]))
        parameters: dict[str, Any] = {"alpha": [0.25, 1.0, 2.0], "gamma": 2.0}
    else:
        logits = np.array([source.gauss(0, 5) for _ in range(3)])
        first = 1 / (1 + np.exp(-logits)) if function == "loss_from_probabilities" else logits
        inputs = (first, np.array([0.0, 1.0, 1.0 if function == "star_loss" else 0.3]))
        _, parameters = random_case(function, source)
    names = quantities_of(function, parameters)
    truth = bulk(function, inputs, parameters, names, FLOAT64)
    for name in names:
        for index in range(len(inputs[0])):
            element = inputs[0][index].tolist(), inputs[1][index].tolist()
            results = flattened(quantity(function, name, element, parameters))
            exact = truth[name][index]
            for position, number in enumerate(results):
                high, low, exponent, scale = (
                    np.ravel(array)[position]
                    for array in (exact.high, exact.low, exact.ulp_exponent, exact.scale_ulp_exponent)
                )
                expected = in_ulps(number, FLOAT64)
                assert exponent == expected.ulp_exponent
                assert scale >= exponent
                assert high == expected.high
                assert low == pytest.approx(expected.low, rel=1e-9, abs=1e-12)


def test_truth_in_bulk_takes_parameters_that_differ_by_element() -> None:
    logits, targets = np.array([0.0, 0.0]), np.array([[1.0], [0.0]])
    truth = bulk("loss", (logits, targets), {"alpha": 0.25, "gamma": np.array([0.0, 2.0])}, ["alpha"], FLOAT64)["alpha"]
    ln2 = math.log(2)
    assert truth.numbers == pytest.approx(np.array([[ln2, ln2 / 4], [-ln2, -ln2 / 4]]), rel=1e-15)
    assert truth.numbers.shape == (2, 2)


@pytest.mark.parametrize(
    ("function", "name", "inputs", "parameters", "lost"),
    [
        ("quality_focal_loss", "gradient", (-0.8472978603872036, 0.3), {"beta": 2.0}, 40),
        ("quality_focal_loss", "value", (0.1, 0.9), {"beta": 2.0}, 0),
        ("asymmetric_loss", "value", (-2.944438979166440, 0.0), asymmetric(gamma_negative=1.0), 40),
        ("star_loss", "gamma", (-1e6, 1.0), star(), 10),
        ("loss", "gradient", (0.5, 0.3), {"alpha": None, "gamma": 2.0}, 0),
        ("loss", "value", (-30.0, 0.0), {"alpha": None, "gamma": 2.0}, 0),
    ],
)
def test_a_scale_tells_how_many_bits_an_element_cancels(
    function: str, name: str, inputs: tuple[float, float], parameters: dict[str, Any], lost: int
) -> None:
    arrays = tuple(np.array([number]) for number in inputs)
    exact = bulk(function, arrays, parameters, [name], FLOAT64)[name]
    bits = int(exact.scale_ulp_exponent[0] - exact.ulp_exponent[0])
    assert lost <= bits <= lost + (60 if lost else 4)
