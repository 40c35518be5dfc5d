"""The prior of the classification head."""

import math


def prior_bias(pi: float) -> float:
    r"""Bias of the classifier's last layer for which every anchor starts at the foreground probability `pi`.

    .. math:: b = -\log\frac{1 - \pi}{\pi}

    Parameters
    ----------
    pi
        Probability in (0, 1).

    Returns
    -------
    float
        The bias, a logit.

    Raises
    ------
    ValueError
        If `pi` is not strictly between 0 and 1.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       sections 3.3 and 4.1.

    Examples
    --------
    >>> round(prior_bias(0.01), 14)
    -4.59511985013459
    """
    if not 0.0 < pi < 1.0:
        raise ValueError(f"pi: got {pi!r}; a probability strictly between 0 and 1")
    return math.log(pi) - math.log1p(-pi)
