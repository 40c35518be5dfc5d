"""Matches in the codes that other libraries use for them."""

from typing import Any

from focal_ref._parameters import BACKGROUND, IGNORE
from focal_ref.detection._arrays import Array, adapter_of, check_array
from focal_ref.detection.matching import IGNORED, POSITIVE, Matches
from focal_ref.detection.targets import classification_targets

__all__ = ["to_detectron2", "to_effdet", "to_mmdet", "to_torchvision"]


def to_torchvision(matches: Matches, /) -> Array:
    """Codes of torchvision's ``Matcher``: the ground truth's index, -1 below the thresholds, -2 between them.

    Parameters
    ----------
    matches : Matches
        From `match_anchors`.

    Returns
    -------
    array
        Integers of the shape of ``matches.state``.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import match_anchors, to_torchvision
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0], [50.0, 50.0, 60.0, 60.0]])
    >>> to_torchvision(match_anchors(anchors, np.array([[0.0, 0.0, 10.0, 4.5]])))
    array([-2,  0, -1])
    """
    return _coded(matches, background=-1, ignored=-2)


def to_effdet(matches: Matches, /) -> Array:
    """Codes of effdet's and TensorFlow's ``Match``: the ground truth's index, -1 unmatched, -2 ignored.

    Parameters
    ----------
    matches : Matches
        From `match_anchors`.

    Returns
    -------
    array
        Integers of the shape of ``matches.state``.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import match_anchors, to_effdet
    >>> to_effdet(match_anchors(np.array([[0.0, 0.0, 10.0, 10.0]]), np.zeros((0, 4))))
    array([-1])
    """
    return _coded(matches, background=-1, ignored=-2)


def to_mmdet(matches: Matches, /) -> Array:
    """Codes of mmdet's ``AssignResult.gt_inds``: the ground truth's index plus 1, 0 background, -1 ignored.

    Parameters
    ----------
    matches : Matches
        From `match_anchors`.

    Returns
    -------
    array
        Integers of the shape of ``matches.state``.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import match_anchors, to_mmdet
    >>> to_mmdet(match_anchors(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([[0.0, 0.0, 10.0, 10.0]])))
    array([1])
    """
    return _coded(matches, background=0, ignored=-1, first=1)


def to_detectron2(matches: Matches, gt_labels: Array, num_classes: int, /) -> Array:
    """Labels of detectron2's RetinaNet: the ground truth's class, `num_classes` for background, -1 ignored.

    Parameters
    ----------
    matches : Matches
        From `match_anchors`.
    gt_labels : array
        Integers, shape (G,), or (N, G) for a batch.
    num_classes : int
        How many classes there are.

    Returns
    -------
    array
        Integers of the shape of ``matches.state``.

    Raises
    ------
    TypeError, ValueError
        For labels of another dtype or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import match_anchors, to_detectron2
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    >>> to_detectron2(match_anchors(anchors, np.array([[0.0, 0.0, 10.0, 9.0]])), np.array([7]), 80)
    array([ 7, 80])
    """
    labels = classification_targets(matches, gt_labels)
    xp: Any = adapter_of(labels).namespace(labels)
    return xp.where(labels == IGNORE, -1, xp.where(labels == BACKGROUND, num_classes, labels))


def _coded(matches: Matches, *, background: int, ignored: int, first: int = 0) -> Array:
    adapter = adapter_of(matches.state)
    check_array(adapter, "matches.gt_index", matches.gt_index, "integral")
    xp = adapter.namespace(matches.state)
    other = xp.where(matches.state == IGNORED, ignored, xp.full_like(matches.gt_index, background))
    return xp.where(matches.state == POSITIVE, matches.gt_index + first, other)
