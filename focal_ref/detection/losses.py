"""The loss of RetinaNet: focal loss of the classes, smooth L1 of the boxes, and what both are divided by."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from focal_ref._parameters import Precision
from focal_ref.detection._arrays import Adapter, Array, adapter_of, as_box_dtype, check_array, check_boxes, first_true
from focal_ref.detection._shards import part_of, sums_of_nothing
from focal_ref.detection.matching import POSITIVE, Matches, match_anchors
from focal_ref.detection.matching_options import matching_preset
from focal_ref.detection.normalizers import check_normalizer, divisor_of
from focal_ref.detection.targets import box_targets, classification_targets
from focal_ref.losses import loss_from_labels

__all__ = ["RetinaNetLoss", "retinanet_loss", "smooth_l1"]


class RetinaNetLoss(NamedTuple):
    """The loss of a batch, by its parts.

    Attributes
    ----------
    classification, boxes : array of shape ()
        Focal loss and smooth L1, each divided by the normalizer.
    total : array of shape ()
        ``classification + box_weight * boxes``.
    num_positive : array of integers, shape (N,) or, for one picture without a batch axis, ()
        Positive anchors of each picture.
    """

    classification: Array
    boxes: Array
    total: Array
    num_positive: Array


def smooth_l1(prediction: Array, target: Array, /, *, beta: float = 0.11) -> Array:
    r"""Smooth L1 loss, elementwise: a parabola next to 0, the distance beyond.

    .. math::

        \ell(d) = \begin{cases} d^2 / (2 \beta) & |d| < \beta \\ |d| - \beta / 2 & \text{otherwise} \end{cases}
        \qquad d = \mathrm{prediction} - \mathrm{target}

    Value and slope are continuous at :math:`|d| = \beta`. With ``beta=0`` it is the L1 loss, whose slope at 0 is 0.
    The paper's authors take 0.11 in Detectron; 1/9 and 0.1 are found as well. Fast R-CNN, where the loss comes from,
    has 1.

    Parameters
    ----------
    prediction : array
        Any shape; float64, float32, float16 or bfloat16.
    target : array
        Same shape, nothing is broadcast.
    beta : float, default 0.11
        Where the parabola ends: >= 0, and not more than the dtype holds. Below its smallest normal number it counts
        as 0.

    Returns
    -------
    array
        Same shape, in the wider dtype of the two; float32 for 16-bit floats.

    Raises
    ------
    TypeError
        For arrays that are no floats and a beta that is no number.
    ValueError
        For shapes that differ and for a beta out of range.

    Notes
    -----
    A NaN gives NaN, in the value and in the derivative; an infinite distance gives infinity with the derivative 1 or
    -1.

    References
    ----------
    .. [1] Girshick, "Fast R-CNN", ICCV 2015, arXiv:1504.08083, section 2.3.
    .. [2] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import smooth_l1
    >>> smooth_l1(np.array([0.0, 0.5, 1.0, -3.0]), np.zeros(4), beta=1.0)
    array([0.   , 0.125, 0.5  , 2.5  ])
    >>> smooth_l1(np.array([0.0, 0.5, 1.0, -3.0]), np.zeros(4), beta=0)
    array([0. , 0.5, 1. , 3. ])
    """
    adapter = adapter_of(prediction)
    xp = adapter.namespace(prediction)
    prediction = as_box_dtype(adapter, check_array(adapter, "prediction", prediction, "real floating"))
    target = as_box_dtype(adapter, check_array(adapter, "target", target, "real floating"))
    if tuple(prediction.shape) != tuple(target.shape):
        raise ValueError(
            f"target: got shape {tuple(target.shape)}, prediction has shape {tuple(prediction.shape)}; they must be "
            "equal, nothing is broadcast"
        )
    dtype = xp.result_type(prediction, target)
    limits = xp.finfo(dtype)
    beta = _non_negative("beta", beta, float(limits.max))
    distance = xp.astype(prediction, dtype) - xp.astype(target, dtype)
    # The sign of NaN is NaN, so that the derivative is too: the libraries' own abs says 0 or 1 there.
    sign = xp.astype(distance > 0, dtype) - xp.astype(distance < 0, dtype)
    magnitude = distance * xp.where(xp.isnan(distance), distance, sign)
    # XLA takes smaller numbers for 0, and would divide 0 by 0.
    if beta < float(limits.smallest_normal):
        return magnitude
    near = magnitude < beta
    # What lies beyond must not reach the parabola: the infinity of an untaken branch gives a NaN derivative.
    inner = xp.where(near, distance, 0.0)
    return xp.where(near, 0.5 * inner * (inner / beta), magnitude - 0.5 * beta)


def retinanet_loss(
    class_logits: Array,
    box_deltas: Array,
    anchors: Array,
    gt_boxes: Array,
    gt_labels: Array,
    /,
    *,
    matches: Matches | None = None,
    gt_valid: Array | None = None,
    preset: str = "paper",
    alpha: float | Array | None = 0.25,
    gamma: float | Array = 2.0,
    beta: float = 0.11,
    box_weight: float = 1.0,
    box_coder_weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    normalizer: str | float | Array = "per_picture",
    sum_over_ranks: Callable[[Array], Array | float] | None = None,
    precision: Precision = "exact",
) -> RetinaNetLoss:
    r"""Training loss of a RetinaNet: matching, targets, both losses and the normalizer.

    .. math::

        L = \frac{1}{N} \sum_{i=1}^{N} \frac{1}{\max(1, n_i)} \Bigl(
            \sum_{a \text{ not ignored}} \sum_c FL(x_{iac}, [c = \mathrm{class}_{ia}])
            + w \sum_{a \text{ positive}} \sum_{k=1}^{4} \ell_\beta(d_{iak} - t_{iak}) \Bigr)

    with the n_i positive anchors of a picture. The box loss is divided by the same number as the classification, and
    summed over the four offsets, as in the code of the paper's authors. Ignored anchors add nothing to either loss nor
    to a gradient, whatever the network says there, NaN included.

    Parameters
    ----------
    class_logits : array
        Shape (N, A, C), or (A, C) for one picture, in which case no array has a batch axis; float64, float32, float16
        or bfloat16.
    box_deltas : array
        Shape (N, A, 4) or (A, 4): what the box head says, in the coding of `encode_boxes`.
    anchors : array
        Shape (A, 4), or (N, A, 4).
    gt_boxes, gt_labels : array
        Ground truths of shape (N, G, 4) and their classes (N, G), integers. G may be 0.
    matches : Matches, optional
        Of `match_anchors`, to match with options of one's own; `gt_valid` is then not looked at.
    gt_valid : array of bool, optional
        Shape (N, G): False for padding.
    preset : str, default "paper"
        How anchors are matched without `matches`, and the ``offset`` of the box coding; see `matching_preset`.
    alpha, gamma : float or array
        Of the focal loss; an array has the shape (C,). See `focal_ref.loss_from_labels`.
    beta : float, default 0.11
        Of `smooth_l1`.
    box_weight : float, default 1.0
        w, finite and >= 0.
    box_coder_weights : sequence of four floats
        ``weights`` of `encode_boxes`.
    normalizer, sum_over_ranks
        As in `normalize_loss`; with a number or an array, both sums are divided by it.
    precision : {"exact", "fast"}, default "exact"
        Of the focal loss.

    Returns
    -------
    RetinaNetLoss
        ``classification``, ``boxes`` and ``total`` of shape (), float64 for float64 logits and else float32, and
        ``num_positive``. The sum of a picture's focal losses is rounded once; dividing and averaging add an ulp each.

    Raises
    ------
    TypeError, ValueError
        For shapes that do not belong together and for options out of range. On the host also for a bad box and for the
        label of a matched ground truth that is no class; elsewhere the losses are NaN.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import retinanet_loss
    >>> anchors = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], dtype=np.float32)
    >>> gt_boxes, gt_labels = np.array([[0, 0, 10, 10]], dtype=np.float32), np.array([1])
    >>> logits, deltas = np.zeros((2, 3), dtype=np.float32), np.full((2, 4), 0.5, dtype=np.float32)
    >>> loss = retinanet_loss(logits, deltas, anchors, gt_boxes, gt_labels)
    >>> print(f"{loss.classification:.4f} {loss.boxes:.4f} {loss.total:.4f} {loss.num_positive}")
    0.6931 1.7800 2.4731 1
    """
    check_normalizer(normalizer, sum_over_ranks)
    offset = matching_preset(preset).offset
    box_weight = _non_negative("box_weight", box_weight, float(np.finfo(np.float64).max))
    adapter = adapter_of(class_logits)
    xp = adapter.namespace(class_logits)
    check_array(adapter, "class_logits", class_logits, "real floating", ("A", "C"))
    rank = len(class_logits.shape)
    if rank > 3:
        raise ValueError(f"class_logits: got shape {tuple(class_logits.shape)}; it is (N, A, C) or (A, C)")
    batch, places = tuple(class_logits.shape[:-2]), class_logits.shape[-2]
    check_array(adapter, "box_deltas", box_deltas, "real floating")
    _check_shape("box_deltas", box_deltas, (*batch, places, 4), class_logits)
    anchors = check_boxes(adapter, "anchors", anchors, values=False)
    if tuple(anchors.shape) not in ((places, 4), (*batch, places, 4)):
        _check_shape("anchors", anchors, (places, 4), class_logits)
    gt_boxes = check_boxes(adapter, "gt_boxes", gt_boxes, values=False)
    _check_shape("gt_boxes", gt_boxes, (*batch, gt_boxes.shape[-2], 4), class_logits)
    check_array(adapter, "gt_labels", gt_labels, "integral")
    if tuple(gt_labels.shape) != tuple(gt_boxes.shape[:-1]):
        raise ValueError(
            f"gt_labels: got shape {tuple(gt_labels.shape)}, gt_boxes have shape {tuple(gt_boxes.shape)}; "
            f"labels have shape {tuple(gt_boxes.shape[:-1])}"
        )
    if isinstance(matches, Matches) and tuple(matches.state.shape) != (*batch, places):
        raise ValueError(
            f"matches: got states of shape {tuple(matches.state.shape)}, class_logits have shape "
            f"{tuple(class_logits.shape)}; matches have shape {(*batch, places)}"
        )
    shards = adapter.shards(class_logits)
    part = None if shards is None else part_of(shards, box_deltas)
    if part is not None:
        # From here on this process's pictures alone, in plain arrays, and with all their anchors.
        anchors, matches = part.of_anchors(anchors), part.of_matches(matches)
        gt_boxes, gt_labels, gt_valid = (
            part.of_pictures(name, array)
            for name, array in (("gt_boxes", gt_boxes), ("gt_labels", gt_labels), ("gt_valid", gt_valid))
        )
        class_logits, box_deltas, adapter = part.logits, part.deltas, adapter_of(part.logits)
    if matches is None:
        matches = match_anchors(anchors, gt_boxes, preset=preset, gt_valid=gt_valid)
    labels = classification_targets(matches, gt_labels)
    if adapter.is_host(labels):
        _check_classes(adapter, labels, matches.gt_index, gt_labels, class_logits.shape[-1])
    deltas = box_targets(matches, anchors, gt_boxes, weights=box_coder_weights, offset=offset)
    state, iou = matches.state, matches.iou
    if part is not None:
        labels, state, iou = (array[..., part.places] for array in (labels, state, iou))
        deltas = deltas[..., part.places, :]

    # Selected before anything is computed, so that nothing of the other anchors reaches value or gradient.
    chosen = (state == POSITIVE) | xp.isnan(iou)
    predicted = xp.where(chosen[..., None], as_box_dtype(adapter, box_deltas), 0.0)
    distances = smooth_l1(predicted, deltas, beta=beta)

    dtype = xp.float64 if adapter.dtype_name(class_logits) == "float64" else xp.float32
    options: dict[str, Any] = {"alpha": alpha, "gamma": gamma, "precision": precision}
    if part is not None:
        class_totals, box_totals, counts = part.sums(labels, distances, state, options)
        class_totals, box_totals = xp.astype(class_totals, dtype), xp.astype(box_totals, dtype)
        counts = xp.astype(counts, matches.num_positive.dtype)
        divisor = divisor_of(adapter, class_totals, counts, normalizer, sum_over_ranks)
        classification, boxes = divisor.divide(xp, class_totals), divisor.divide(xp, box_totals)
        results = classification, boxes, classification + box_weight * boxes, counts if batch else counts[0]
        return RetinaNetLoss(*map(shards.replicated, results))
    # The adapters sum everything that they are given, so that each picture is a call of its own.
    class_sums, box_sums = [], []
    for picture in [(number, ...) for number in range(batch[0])] if batch else [(...,)]:
        class_sums.append(loss_from_labels(class_logits[picture], labels[picture], reduction="sum", **options))
        box_sums.append(_sum(adapter, distances[picture], dtype))
    counts = matches.num_positive if batch else matches.num_positive[None]
    if class_sums:
        class_totals, box_totals = xp.stack(class_sums), xp.stack(box_sums)
    else:
        class_totals, box_totals = sums_of_nothing(adapter, class_logits, box_deltas, options, dtype)
    divisor = divisor_of(adapter, class_totals, counts, normalizer, sum_over_ranks)
    classification, boxes = divisor.divide(xp, class_totals), divisor.divide(xp, box_totals)
    return RetinaNetLoss(classification, boxes, classification + box_weight * boxes, matches.num_positive)


def _sum(adapter: Adapter, terms: Array, dtype: Any) -> Array:
    """Sum in float64, where the library has it without being asked, rounded to a dtype."""
    xp = adapter.namespace(terms)
    wide = terms if adapter.name == "jax" else xp.astype(terms, xp.float64)
    return xp.astype(xp.sum(wide), dtype)


def _check_shape(name: str, array: Array, expected: tuple[int, ...], class_logits: Array) -> None:
    if tuple(array.shape) != expected:
        raise ValueError(
            f"{name}: got shape {tuple(array.shape)}, class_logits have shape {tuple(class_logits.shape)}; "
            f"{name} have shape {expected}"
        )


def _check_classes(adapter: Adapter, labels: Array, gt_index: Array, gt_labels: Array, classes: int) -> None:
    anchor = first_true(adapter, labels >= classes)
    if anchor is not None:
        place = (*anchor[:-1], int(adapter.to_numpy(gt_index)[anchor]))
        label = int(adapter.to_numpy(gt_labels)[place])
        raise ValueError(f"gt_labels: got {label} at position {place}; it is a class 0..{classes - 1}")


def _non_negative(name: str, value: Any, largest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: got {value!r}; it is a number")
    # Compared before it is converted, because an integer may be too large for a float; NaN compares as False.
    if not 0 <= value <= largest:
        raise ValueError(f"{name}: got {value!r}; it is >= 0 and at most {largest:.4g}")
    return float(value)
