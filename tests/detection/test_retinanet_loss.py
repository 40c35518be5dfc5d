"""RetinaNet's loss: against the definition in plain Python, and what must not reach it."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch

from focal_ref import prior_bias
from focal_ref.detection.losses import retinanet_loss
from focal_ref.detection.matching import Matches, match_anchors

from .every_library import call, converted, every_library, host_libraries, most_libraries, refusal

CLASSES = 3
ANCHORS = np.array(
    [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4.5], [50, 50, 60, 60], [20, 20, 40, 30], [21, 20, 41, 30]],
    dtype=np.float32,
)
# IoU with the anchors: 1, 0.5, 0.45, 0, 0, 0 and 0, 0, 0, 0, 1, 190/210; the second picture has one box, which overlaps
# the last but one anchor by 0.9; the third has none.
BOXES = np.array(
    [
        [[0, 0, 10, 10], [20, 20, 40, 30]],
        [[20, 21, 40, 30], [np.nan, 0, 0, 0]],
        [[0, 0, 0, 0], [3, 3, 1, 1]],
    ],
    dtype=np.float32,
)
VALID = np.array([[True, True], [True, False], [False, False]])
LABELS = np.array([[2, 0], [1, -5], [99, 99]], dtype=np.int32)
# Of each anchor: the ground truth, None for background, "ignored".
ASSIGNED = [
    [0, 0, "ignored", None, 1, 1],
    [None, None, None, None, 0, 0],
    [None] * 6,
]


def outputs(dtype=np.float32, seed=1):
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, (3, 6, CLASSES)).astype(dtype)
    deltas = generator.normal(0, 0.3, (3, 6, 4)).astype(dtype)
    return logits, deltas


def focal(logit, target, alpha, gamma):
    p = 1 / (1 + mpmath.exp(-mpmath.mpf(float(logit))))
    share = p if target else 1 - p
    return (alpha if target else 1 - alpha) * (1 - share) ** gamma * -mpmath.log(share)


def centre_form(box, offset):
    x1, y1, x2, y2 = (mpmath.mpf(float(number)) for number in box)
    width, height = x2 - x1 + offset, y2 - y1 + offset
    return x1 + width / 2, y1 + height / 2, width, height


def box_loss(deltas, anchor, box, beta, weights=(1, 1, 1, 1), offset=0):
    (ax, ay, aw, ah), (x, y, w, h) = centre_form(anchor, offset), centre_form(box, offset)
    goals = (x - ax) / aw, (y - ay) / ah, mpmath.log(w / aw), mpmath.log(h / ah)
    total = mpmath.mpf(0)
    for delta, goal, weight in zip(deltas, goals, weights, strict=True):
        distance = abs(mpmath.mpf(float(delta)) - weight * goal)
        total += distance**2 / (2 * beta) if distance < beta else distance - beta / 2
    return total


def expected_sums(logits, deltas, assigned=ASSIGNED, alpha=0.25, gamma=2.0, beta=0.11, **coding):
    """Focal loss and smooth L1 of each picture, by the definition, in 30 digits; and the number of positives."""
    with mpmath.workdps(30):
        rows = []
        for picture, anchors in enumerate(assigned):
            classes, boxes, positives = mpmath.mpf(0), mpmath.mpf(0), 0
            for place, gt in enumerate(anchors):
                if gt == "ignored":
                    continue
                label = None if gt is None else LABELS[picture, gt]
                classes += sum(
                    focal(logits[picture, place, c], c == label, mpmath.mpf(alpha), mpmath.mpf(gamma))
                    for c in range(CLASSES)
                )
                if gt is not None:
                    positives += 1
                    boxes += box_loss(
                        deltas[picture, place], ANCHORS[place], BOXES[picture, gt], mpmath.mpf(beta), **coding
                    )
            rows.append((float(classes), float(boxes), positives))
        return [np.array(column) for column in zip(*rows, strict=True)]


# Against the definition


@every_library
def test_the_default_is_the_mean_of_what_each_picture_has_by_its_positives(library):
    logits, deltas = outputs()
    found = call(library, retinanet_loss, logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID)
    classes, boxes, positives = expected_sums(logits, deltas)
    assert positives.tolist() == [4, 2, 0]
    assert found.num_positive.tolist() == [4, 2, 0]
    divisors = np.maximum(positives, 1)
    for part, sums in ((found.classification, classes), (found.boxes, boxes), (found.total, classes + boxes)):
        assert part.shape == ()
        assert part.dtype == np.float32
        np.testing.assert_allclose(part, np.mean(sums / divisors), rtol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("normalizer", "divisor"), [("batch", 6), ("plus_one", 7), ("plus_one_per_picture", 9), (100.0, 100)]
)
def test_both_losses_are_divided_by_the_same_normalizer(library, normalizer, divisor):
    logits, deltas = outputs()
    found = call(library, retinanet_loss, logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID, normalizer=normalizer)
    classes, boxes, _ = expected_sums(logits, deltas)
    np.testing.assert_allclose(found.classification, classes.sum() / divisor, rtol=1e-6)
    np.testing.assert_allclose(found.boxes, boxes.sum() / divisor, rtol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_float64_logits_give_float64(library):
    logits, deltas = outputs(np.float64)
    found = call(library, retinanet_loss, logits, deltas, ANCHORS.astype(float), BOXES, LABELS, gt_valid=VALID)
    classes, boxes, positives = expected_sums(logits, deltas)
    divisors = np.maximum(positives, 1)
    assert found.total.dtype == np.float64
    np.testing.assert_allclose(found.classification, np.mean(classes / divisors), rtol=1e-14)
    np.testing.assert_allclose(found.boxes, np.mean(boxes / divisors), rtol=1e-14)


@pytest.mark.parametrize("library", ["numpy", "jax:jit"])
def test_16_bit_outputs_give_float32(library):
    logits, deltas = outputs(np.float16)
    found = call(library, retinanet_loss, logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID)
    classes, boxes, positives = expected_sums(logits, deltas)
    assert found.total.dtype == np.float32
    np.testing.assert_allclose(found.total, np.mean((classes + boxes) / np.maximum(positives, 1)), rtol=1e-6)


@most_libraries
def test_every_option_reaches_its_place(library):
    logits, deltas = outputs()
    found = call(
        library,
        retinanet_loss,
        logits,
        deltas,
        ANCHORS,
        BOXES,
        LABELS,
        gt_valid=VALID,
        alpha=0.4,
        gamma=1.5,
        beta=0.3,
        box_weight=2.5,
        box_coder_weights=[10.0, 10.0, 5.0, 5.0],
        normalizer="batch",
        precision="fast",
    )
    classes, boxes, _ = expected_sums(logits, deltas, alpha=0.4, gamma=1.5, beta=0.3, weights=(10, 10, 5, 5))
    np.testing.assert_allclose(found.classification, classes.sum() / 6, rtol=2e-6)
    np.testing.assert_allclose(found.boxes, boxes.sum() / 6, rtol=2e-6)
    np.testing.assert_allclose(found.total, (classes.sum() + 2.5 * boxes.sum()) / 6, rtol=2e-6)


def test_the_offset_of_the_preset_is_that_of_the_coding():
    logits, deltas = outputs()
    # With widths of x2 - x1 + 1 the overlaps are 1, 6/11 and 5.5/11, the last of which is exactly a half.
    assigned = [[0, 0, 0, None, 1, 1], *ASSIGNED[1:]]
    found = retinanet_loss(
        logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID, preset="detectron", normalizer="batch"
    )
    _, boxes, positives = expected_sums(logits, deltas, assigned, offset=1)
    assert found.num_positive.tolist() == positives.tolist() == [5, 2, 0]
    np.testing.assert_allclose(found.boxes, boxes.sum() / 7, rtol=1e-6)


@most_libraries
def test_matches_of_ones_own_are_taken_as_they_are(library):
    logits, deltas = outputs()
    assigned = [[None, 1, None, "ignored", None, None], ["ignored"] * 6, [None] * 6]
    states = {None: 0, "ignored": -1}
    state = np.array([[states.get(gt, 1) for gt in row] for row in assigned], dtype=np.int8)
    index = np.array([[gt if isinstance(gt, int) else -1 for gt in row] for row in assigned], dtype=np.int32)
    matches = Matches(state, index, np.zeros((3, 6), np.float32), np.array([1, 0, 0], np.int32), np.ones((3, 2), bool))
    found = call(library, retinanet_loss, logits, deltas, ANCHORS, BOXES, LABELS, matches=matches)
    classes, boxes, positives = expected_sums(logits, deltas, assigned)
    assert classes[1] == 0
    np.testing.assert_allclose(found.classification, classes.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.boxes, boxes.mean(), rtol=1e-6)
    assert found.num_positive.tolist() == positives.tolist()


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_one_picture_needs_no_batch_axis(library):
    logits, deltas = outputs()
    found = call(library, retinanet_loss, logits[0], deltas[0], ANCHORS, BOXES[0], LABELS[0])
    classes, boxes, _ = expected_sums(logits, deltas)
    assert found.num_positive.shape == ()
    assert found.num_positive == 4
    np.testing.assert_allclose(found.classification, classes[0] / 4, rtol=1e-6)
    np.testing.assert_allclose(found.boxes, boxes[0] / 4, rtol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "jax:jit"])
def test_each_picture_may_have_anchors_of_its_own(library):
    logits, deltas = outputs()
    shift = np.array([0, 64, 128], dtype=np.float32)[:, None, None]
    found = call(library, retinanet_loss, logits, deltas, ANCHORS + shift, BOXES + shift, LABELS, gt_valid=VALID)
    classes, boxes, positives = expected_sums(logits, deltas)
    np.testing.assert_allclose(found.total, np.mean((classes + boxes) / np.maximum(positives, 1)), rtol=1e-5)


# The first step of a training


def test_the_first_step_of_a_training_has_the_loss_that_the_prior_makes():
    anchors, classes = 120_087, 80
    with mpmath.workdps(30):
        p = mpmath.mpf("0.01")
        expected = anchors * classes * mpmath.mpf("0.75") * p**2 * -mpmath.log(1 - p)
    assert mpmath.nstr(expected, 5) == "7.2415"
    logits = np.full((anchors, classes), prior_bias(0.01), dtype=np.float32)
    boxes = np.tile(np.array([0, 0, 32, 32], dtype=np.float32), (anchors, 1))
    nothing = np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.int64)
    found = retinanet_loss(logits, np.zeros_like(boxes), boxes, *nothing)
    # The bias is a float32: its rounding, 2e-8 of it, moves the loss by three times as much of 4.6.
    np.testing.assert_allclose(found.classification, float(expected), rtol=6e-7)
    assert found.boxes == 0
    assert found.total == found.classification


# What must not reach the loss


def gradient_of(library, logits, deltas, *ground_truths, **options):
    """Derivative of the total with respect to logits and offsets, by the library's autodiff."""
    options = {name: converted(library, value) for name, value in options.items()}
    ground_truths = converted(library, ground_truths)
    if library == "torch":
        leaves = [torch.tensor(array, requires_grad=True) for array in (logits, deltas)]
        retinanet_loss(*leaves, *ground_truths, **options).total.backward()
        return [leaf.grad.numpy() for leaf in leaves]

    def total(logits, deltas):
        return retinanet_loss(logits, deltas, *ground_truths, **options).total

    gradient = jax.grad(total, argnums=(0, 1))
    gradient = jax.jit(gradient) if library == "jax:jit" else gradient
    return [np.asarray(array) for array in gradient(jnp.asarray(logits), jnp.asarray(deltas))]


@pytest.mark.parametrize("library", ["torch", "jax:jit"])
def test_gradients_are_those_of_the_definition(library):
    logits, deltas = outputs()
    found = gradient_of(library, logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID)
    for which, places in (
        (0, [(0, 0, 2), (0, 2, 1), (0, 4, 1), (1, 0, 0), (2, 5, 2)]),
        (1, [(0, 1, 3), (0, 3, 0), (1, 4, 2)]),
    ):
        for place in places:
            step = 1e-6
            values = []
            for sign in (1, -1):
                arrays = [logits.astype(float), deltas.astype(float)]
                arrays[which][place] += sign * step
                classes, boxes, positives = expected_sums(*arrays)
                values.append(np.mean((classes + boxes) / np.maximum(positives, 1)))
            slope = (values[0] - values[1]) / (2 * step)
            np.testing.assert_allclose(found[which][place], slope, rtol=2e-6, atol=1e-9)


@most_libraries
def test_ignored_anchors_add_nothing_whatever_the_network_says_there(library):
    logits, deltas = outputs()
    clean = call(library, retinanet_loss, logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID)
    logits[0, 2], deltas[0, 2] = [np.nan, np.inf, -np.inf], np.nan
    # Nor do the offsets of background anchors.
    deltas[0, 3], deltas[2] = [np.nan, np.inf, -np.inf, 1e38], np.nan
    found = call(library, retinanet_loss, logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID)
    assert found.total == clean.total
    assert np.isfinite(found.total)
    if library in ("torch", "jax:jit"):
        slopes = gradient_of(library, logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID)
        assert all(np.isfinite(slope).all() for slope in slopes)
        assert np.all(slopes[0][0, 2] == 0)
        assert np.all(slopes[1][0, 2:4] == 0)
        assert np.all(slopes[1][2] == 0)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax:jit"])
@pytest.mark.parametrize("empty", ["no boxes", "all masked"])
def test_pictures_without_a_ground_truth_are_all_background(library, empty):
    logits, deltas = outputs()
    number = 0 if empty == "no boxes" else 2
    boxes, labels = BOXES[:, :number], LABELS[:, :number]
    options = {"gt_valid": np.zeros((3, number), dtype=bool)}
    found = call(library, retinanet_loss, logits, deltas, ANCHORS, boxes, labels, **options)
    classes, _, _ = expected_sums(logits, deltas, [[None] * 6] * 3)
    np.testing.assert_allclose(found.classification, classes.mean(), rtol=1e-6)
    assert found.boxes == 0
    assert found.num_positive.tolist() == [0, 0, 0]
    if library in ("torch", "jax:jit"):
        slopes = gradient_of(library, logits, deltas, ANCHORS, boxes, labels, **options)
        assert np.isfinite(slopes[0]).all()
        assert np.all(slopes[0] > 0)
        assert np.all(slopes[1] == 0)


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_no_pictures_and_no_anchors_have_no_loss(library):
    logits, deltas = outputs()
    for pictures, anchors in ((0, 6), (2, 0)):
        arrays = logits[:pictures, :anchors], deltas[:pictures, :anchors], ANCHORS[:anchors], BOXES[:pictures]
        found = call(library, retinanet_loss, *arrays, LABELS[:pictures], gt_valid=VALID[:pictures])
        assert found.total == 0
        assert found.num_positive.tolist() == [0] * pictures


# Bad data


@host_libraries
def test_bad_boxes_and_labels_are_refused_with_their_place(library):
    logits, deltas = outputs()
    text = refusal(ValueError, call, library, retinanet_loss, logits, deltas, ANCHORS, BOXES, LABELS)
    assert text.startswith("gt_boxes: got [nan, 0.0, 0.0, 0.0] at position (1, 1); ")
    for label, allowed in ((3, "it is a class 0..2"), (-1, "a ground truth's label is a class >= 0")):
        labels = LABELS.copy()
        labels[0, 1] = label
        text = refusal(
            ValueError, call, library, retinanet_loss, logits, deltas, ANCHORS, BOXES, labels, gt_valid=VALID
        )
        assert text == f"gt_labels: got {label} at position (0, 1); {allowed}"


@pytest.fixture(scope="module")
def traced():
    """The compiled loss of boxes and labels, and its derivatives with respect to logits and offsets."""
    logits, deltas = converted("jax", outputs())

    def run(boxes, labels):
        def total(logits, deltas):
            loss = retinanet_loss(logits, deltas, jnp.asarray(ANCHORS), boxes, labels, gt_valid=jnp.asarray(VALID))
            return loss.total, loss

        return jax.grad(total, argnums=(0, 1), has_aux=True)(logits, deltas)

    return jax.jit(run)


@pytest.mark.parametrize("bad", [[np.nan, 0, 5, 5], [5, 5, 5, 9], [0, 0, np.inf, 9]])
def test_where_nothing_can_be_refused_a_bad_box_makes_the_losses_nan(traced, bad):
    boxes = BOXES.copy()
    boxes[0, 1] = bad
    slopes, found = traced(boxes, LABELS)
    assert np.isnan([found.classification, found.boxes, found.total]).all()
    for slope in map(np.asarray, slopes):
        assert np.isnan(slope[0]).all()
        # The other pictures have nothing to do with it.
        assert np.isfinite(slope[1:]).all()


@pytest.mark.parametrize("label", [3, -1, -2, -3])
def test_where_nothing_can_be_refused_a_bad_label_makes_the_loss_nan(traced, label):
    labels = LABELS.copy()
    labels[0, 1] = label
    slopes, found = traced(BOXES, labels)
    assert np.isnan([found.classification, found.total]).all()
    assert np.isfinite(found.boxes)
    # Its two anchors alone have no derivative.
    assert np.isnan(slopes[0][0]).all(axis=-1).tolist() == [False, False, False, False, True, True]
    assert np.isfinite(slopes[1]).all()


def test_torch_compiles_the_loss_into_one_graph_in_which_a_bad_box_gives_nan():
    anchors, labels, valid = converted("torch", (ANCHORS, LABELS, VALID))

    @torch.compile(backend="eager", fullgraph=True)
    def compiled(logits, deltas, boxes):
        return retinanet_loss(logits, deltas, anchors, boxes, labels, gt_valid=valid).total

    logits, deltas = outputs()
    classes, boxes, positives = expected_sums(logits, deltas)
    leaves = [torch.tensor(array, requires_grad=True) for array in (logits, deltas)]
    total = compiled(*leaves, torch.tensor(BOXES))
    np.testing.assert_allclose(total.item(), np.mean((classes + boxes) / np.maximum(positives, 1)), rtol=1e-6)
    total.backward()
    for leaf, slope in zip(
        leaves, gradient_of("torch", logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID), strict=True
    ):
        np.testing.assert_allclose(leaf.grad, slope, rtol=1e-6, atol=1e-9)
    bad = BOXES.copy()
    bad[0, 1] = np.nan
    assert torch.isnan(compiled(*leaves, torch.tensor(bad)))


@pytest.mark.parametrize("state", [0, -1])
def test_where_nothing_can_be_refused_matches_of_an_unknown_overlap_make_the_losses_nan(state):
    matches = match_anchors(ANCHORS, BOXES, gt_valid=VALID)
    matches.iou[1], matches.state[1] = np.nan, state
    found = call("jax", retinanet_loss, *outputs(), ANCHORS, BOXES, LABELS, matches=matches)
    assert np.isnan([found.classification, found.boxes, found.total]).all()


def test_counts_are_summed_over_ranks():
    logits, deltas = outputs()
    found = retinanet_loss(
        logits,
        deltas,
        ANCHORS,
        BOXES,
        LABELS,
        gt_valid=VALID,
        normalizer="batch",
        sum_over_ranks=lambda count: count + 14,
    )
    classes, boxes, _ = expected_sums(logits, deltas)
    np.testing.assert_allclose(found.total, (classes.sum() + boxes.sum()) / 20, rtol=1e-6)
