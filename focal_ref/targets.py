"""The codes of labels, and a check of targets that works on every device."""

from typing import Any

from focal_ref._arguments import check_choice, check_labels, check_target_values
from focal_ref._call import Array
from focal_ref._parameters import BACKGROUND, IGNORE
from focal_ref.adapters import adapter_of

__all__ = ["BACKGROUND", "IGNORE", "check_targets"]


def check_targets(
    targets: Array, /, *, encoding: str = "binary", num_classes: int | None = None, background: bool = True
) -> None:
    """Raise for the first target that a loss would not take, wherever the array lies.

    The losses check values only where reading them costs nothing, on the host. This reads them from any device, once,
    for instance before a training.

    Parameters
    ----------
    targets : array
        Any shape and library; must hold values, so it works outside jit, vmap and torch.compile.
    encoding : {"binary", "signed", "labels"}, default "binary"
        "binary": booleans, integers 0 and 1, or floats in [0, 1]. "signed": -1 and +1. "labels": integers that name
        classes.
    num_classes : int, optional
        With labels, the number of classes; without it every label >= 0 is taken.
    background : bool, default True
        With labels, whether BACKGROUND (-1) is one, as for `loss_from_labels`; `softmax_loss` has none.

    Raises
    ------
    TypeError
        For a dtype that the encoding does not take.
    ValueError
        For the first value out of range, with its position and what is allowed.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.check_targets(np.array([0, 79, focal_ref.IGNORE]), encoding="labels", num_classes=80)
    >>> focal_ref.check_targets(np.array([0.0, 1.5]))
    Traceback (most recent call last):
    ...
    ValueError: targets: got 1.5 at position (1,); it is in [0, 1] (encoding='binary')
    """
    check_choice("encoding", encoding, ("binary", "signed", "labels"))
    if num_classes is not None and encoding != "labels":
        raise ValueError(
            f"num_classes: got {num_classes!r} with encoding={encoding!r}; it belongs to encoding='labels'"
        )
    values: Any = adapter_of(targets).to_numpy(targets)
    kind = "f" if values.dtype.name == "bfloat16" else values.dtype.kind
    if encoding == "labels":
        if kind not in "iu":
            raise TypeError(f"targets: got dtype {values.dtype.name} with encoding='labels'; labels are integers")
        check_labels(values, num_classes, background=background, name="targets")
    elif kind not in "biuf":
        raise TypeError(f"targets: got dtype {values.dtype.name}; allowed are bool, integers and real floats")
    elif kind == "b" or (kind == "u" and encoding == "signed"):
        if encoding == "signed":
            raise TypeError(f"targets: got dtype {values.dtype.name} with encoding='signed'; it takes -1 and +1")
    else:
        check_target_values(values, encoding)
