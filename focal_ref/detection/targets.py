"""From matches to what the two heads are trained on: a class and four offsets an anchor."""

from collections.abc import Sequence
from typing import NamedTuple

from focal_ref._arguments import LABEL_DTYPES, check_labels
from focal_ref.detection._arrays import Adapter, Array, adapter_of, check_array, check_boxes, device_of, first_true
from focal_ref.detection.coding import encode_boxes
from focal_ref.detection.matching import IGNORED, POSITIVE, Matches
from focal_ref.targets import BACKGROUND, IGNORE

__all__ = ["OneHotTargets", "box_targets", "classification_targets", "one_hot_targets"]

INVALID = -3
"""Neither a class nor a code, so that a loss of it is NaN where it cannot raise."""


class OneHotTargets(NamedTuple):
    """One row of targets an anchor, and whether it counts.

    Attributes
    ----------
    targets : array of bool, shape (..., C)
        True for the class of the label; a background anchor has none.
    weights : array of float32, shape (..., 1)
        0 for ignored anchors, else 1.
    """

    targets: Array
    weights: Array


def classification_targets(matches: Matches, gt_labels: Array, /) -> Array:
    """Label of each anchor, as `focal_ref.loss_from_labels` takes them.

    Parameters
    ----------
    matches : Matches
        Of `match_anchors`, for A anchors of one picture or of a batch.
    gt_labels : array
        Classes of the G ground truths, integers >= 0, of shape (G,) or, for a batch, (N, G). Labels of ground truths
        without a positive anchor are not looked at, so padding may hold any number. G may be 0.

    Returns
    -------
    array
        Integers of the shape (..., A): the class of the ground truth for positive anchors, ``focal_ref.BACKGROUND``
        (-1) for negative and ``focal_ref.IGNORE`` (-2) for ignored ones. The dtype is that of the labels if it is
        signed, else the library's integer.

    Raises
    ------
    TypeError
        For labels that are no integers, and for matches that are something else.
    ValueError
        For labels of another batch than the matches. On the host also for the first positive anchor whose label is
        negative or whose ground truth does not exist, and for matches of bad boxes (NaN in ``matches.iou``); elsewhere
        these anchors get -3, for which the losses give NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import classification_targets, match_anchors
    >>> anchors = np.array([[0, 0, 10, 10], [0, 0, 10, 4.5], [50, 50, 60, 60]], dtype=np.float32)
    >>> matches = match_anchors(anchors, np.array([[0, 0, 10, 10]], dtype=np.float32))
    >>> classification_targets(matches, np.array([17]))
    array([17, -2, -1])
    """
    adapter = _adapter(matches)
    xp = adapter.namespace(matches.state)
    gt_labels = check_array(adapter, "gt_labels", gt_labels, "integral", ("G",))
    _check_batch(matches, "gt_labels", gt_labels, tuple(gt_labels.shape[:-1]))
    integer = gt_labels.dtype
    if not xp.isdtype(integer, "signed integer"):
        integer = xp.arange(0).dtype
        gt_labels = xp.astype(gt_labels, integer)
    positive, index, valid = _assigned(adapter, matches, "gt_labels", gt_labels.shape[-1])
    ignored = matches.state == IGNORED
    labels = xp.full(matches.state.shape, BACKGROUND, dtype=integer, device=device_of(gt_labels))
    labels = xp.where(ignored, IGNORE, labels)
    if gt_labels.shape[-1]:
        own = xp.take_along_axis(gt_labels, index, axis=-1)
        named = own >= 0
        if adapter.is_host(own):
            _check_named(adapter, positive & ~named, index, gt_labels)
        labels = xp.where(positive, xp.where(named, own, INVALID), labels)
    return xp.where(valid, labels, INVALID)


def one_hot_targets(labels: Array, num_classes: int, /) -> OneHotTargets:
    """Targets of every class from labels, for losses that take no labels.

    Background is a row without a class. Ignored anchors leave the loss by their weight of 0, never by arithmetic on
    their code. A weight of 0 does not undo the NaN of a NaN logit; `focal_ref.loss_from_labels` does, and needs no
    rows.

    Parameters
    ----------
    labels : array
        Integers of any shape: 0 to ``num_classes - 1``, ``focal_ref.BACKGROUND`` or ``focal_ref.IGNORE``.
    num_classes : int
        C, at least 1.

    Returns
    -------
    OneHotTargets
        ``targets`` of shape (..., C) and ``weights`` of shape (..., 1).

    Raises
    ------
    TypeError
        For labels that are no integers and for a number of classes that is none.
    ValueError
        For ``num_classes < 1``. On the host also for the first label that is neither a class nor a code; elsewhere its
        weight is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> from focal_ref.detection import one_hot_targets
    >>> targets, weights = one_hot_targets(np.array([1, focal_ref.BACKGROUND, focal_ref.IGNORE]), 2)
    >>> targets
    array([[False,  True],
           [False, False],
           [False, False]])
    >>> weights.ravel()
    array([1., 1., 0.], dtype=float32)
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int):
        raise TypeError(f"num_classes: got {num_classes!r}; it is an integer >= 1")
    if num_classes < 1:
        raise ValueError(f"num_classes: got {num_classes}; it is an integer >= 1")
    adapter = adapter_of(labels)
    dtype = adapter.dtype_name(labels)
    if dtype not in LABEL_DTYPES:
        raise TypeError(f"labels: got dtype {dtype}; allowed are {', '.join(LABEL_DTYPES)}")
    if adapter.is_host(labels):
        check_labels(adapter.to_numpy(labels), num_classes)
    xp = adapter.namespace(labels)
    # An unsigned label is never a code, although one that the library's integer does not hold becomes negative.
    lowest = IGNORE if xp.isdtype(labels.dtype, "signed integer") else 0
    integer = xp.arange(0).dtype
    labels = xp.astype(labels, integer)[..., None]
    classes = xp.arange(num_classes, dtype=integer, device=device_of(labels))
    weights = xp.where(labels == IGNORE, 0.0, xp.ones(labels.shape, dtype=xp.float32, device=device_of(labels)))
    valid = (labels >= lowest) & (labels < num_classes)
    return OneHotTargets(labels == classes, xp.where(valid, weights, xp.nan))


def box_targets(
    matches: Matches,
    anchors: Array,
    gt_boxes: Array,
    /,
    *,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    offset: int = 0,
) -> Array:
    """Offsets that decode to the matched ground truth, for positive anchors; 0 for all others.

    Parameters
    ----------
    matches : Matches
        Of `match_anchors`, for A anchors of one picture or of a batch.
    anchors : array
        Boxes of shape (A, 4), shared by the batch, or (N, A, 4).
    gt_boxes : array
        Boxes of shape (G, 4) or, for a batch, (N, G, 4). Those without a positive anchor are not looked at, so padding
        may hold anything, NaN included. G may be 0.
    weights, offset
        As in `encode_boxes`.

    Returns
    -------
    array
        Shape (..., A, 4), float32 or float64: the wider of anchors and ground truths.

    Raises
    ------
    TypeError, ValueError
        As `classification_targets` and `encode_boxes`. Away from the host, matches of bad boxes (NaN in
        ``matches.iou``) give NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import box_targets, match_anchors
    >>> anchors = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], dtype=np.float32)
    >>> gt_boxes = np.array([[1, 0, 11, 10]], dtype=np.float32)
    >>> box_targets(match_anchors(anchors, gt_boxes), anchors, gt_boxes)
    array([[0.1, 0. , 0. , 0. ],
           [0. , 0. , 0. , 0. ]], dtype=float32)
    """
    adapter = _adapter(matches)
    xp = adapter.namespace(matches.state)
    anchors = check_boxes(adapter, "anchors", anchors, values=False)
    gt_boxes = check_boxes(adapter, "gt_boxes", gt_boxes, values=False)
    _check_batch(matches, "gt_boxes", gt_boxes, tuple(gt_boxes.shape[:-2]))
    shape = tuple(matches.state.shape)
    if tuple(anchors.shape[:-1]) not in (shape, shape[-1:]):
        raise ValueError(f"anchors: got shape {tuple(anchors.shape)}; matches of shape {shape} take {(*shape, 4)}")
    dtype = xp.result_type(anchors, gt_boxes)
    anchors = xp.broadcast_to(xp.astype(anchors, dtype), (*shape, 4))
    positive, index, valid = _assigned(adapter, matches, "gt_boxes", gt_boxes.shape[-2])
    # Where there is nothing to encode stands a box that encodes itself, so that neither padding nor an anchor outside
    # the picture can fail or give NaN.
    unit = xp.asarray([0.0, 0.0, 1.0, 1.0], dtype=dtype, device=device_of(anchors))
    anchors = goals = xp.where(positive[..., None], anchors, unit)
    if gt_boxes.shape[-2]:
        corners = xp.broadcast_to(index[..., None], (*shape, 4))
        own = xp.take_along_axis(xp.astype(gt_boxes, dtype), corners, axis=-2)
        goals = xp.where(positive[..., None], own, unit)
    deltas = encode_boxes(goals, anchors, weights=weights, offset=offset)
    deltas = xp.where(positive[..., None], deltas, 0.0)
    return xp.where(valid[..., None], deltas, xp.nan)


def _adapter(matches: Matches) -> Adapter:
    if not isinstance(matches, Matches):
        kind = f"{type(matches).__module__}.{type(matches).__qualname__}"
        raise TypeError(f"matches: got {kind}; it is what match_anchors returns")
    return adapter_of(matches.state)


def _check_batch(matches: Matches, name: str, array: Array, batch: tuple[int, ...]) -> None:
    if batch != tuple(matches.state.shape[:-1]):
        raise ValueError(
            f"{name}: got shape {tuple(array.shape)} with matches of shape {tuple(matches.state.shape)}; "
            "their batch axes are equal"
        )


def _assigned(adapter: Adapter, matches: Matches, name: str, number: int) -> tuple[Array, Array, Array]:
    """Which anchors are positive, the ground truth of each (0 where it has none), and where both can be trusted."""
    xp = adapter.namespace(matches.state)
    positive = matches.state == POSITIVE
    index = xp.astype(matches.gt_index, xp.arange(0).dtype)
    exists = ~positive | ((index >= 0) & (index < number))
    known = ~xp.isnan(matches.iou)
    if adapter.is_host(matches.state):
        first = first_true(adapter, ~known)
        if first is not None:
            raise ValueError(
                f"matches.iou: got nan at position {first}; a box of its picture is not finite or has no area"
            )
        first = first_true(adapter, ~exists)
        if first is not None:
            found = int(adapter.to_numpy(index)[first])
            raise ValueError(
                f"matches.gt_index: got {found} for the positive anchor at position {first}; {name} has {number} "
                "ground truths, pass those that were matched"
            )
    return positive, xp.where(positive & exists, index, 0), exists & known


def _check_named(adapter: Adapter, unnamed: Array, index: Array, gt_labels: Array) -> None:
    anchor = first_true(adapter, unnamed)
    if anchor is not None:
        place = (*anchor[:-1], int(adapter.to_numpy(index)[anchor]))
        label = int(adapter.to_numpy(gt_labels)[place])
        raise ValueError(f"gt_labels: got {label} at position {place}; a ground truth's label is a class >= 0")
