"""The answer of every axis for one target."""

from collections.abc import Callable, Mapping

import numpy as np

from focal_ref.conformance.inference import arithmetic, clipping, codes, losses, options, reductions
from focal_ref.conformance.inference.answers import Answer
from focal_ref.conformance.inference.losses import DECIDED, Fit
from focal_ref.conformance.inference.subject import Subject

SINGLE: Mapping[str, Callable[[Subject, Fit], Answer]] = {
    "alpha_off": options.alpha_off,
    "clipping": lambda subject, fit: clipping.clipping(subject, fit)[0],
    "epsilon": lambda subject, fit: clipping.clipping(subject, fit)[1],
    "mean": reductions.mean,
    "sum": reductions.total,
    "background": lambda subject, fit: codes.codes(subject, fit)[0],
    "ignore": lambda subject, fit: codes.codes(subject, fit)[1],
    "gradient": arithmetic.gradient,
}
"""Axes that are decided by themselves, once the formula is known."""


def answer(subject: Subject, axis: str) -> Answer | None:
    """The values of an axis that fit, or None where no formula does, so that nothing can be said about this axis."""
    # Whatever an implementation makes of saturated inputs is data here.
    with np.errstate(all="ignore"):
        if axis in DECIDED:
            return losses.answers(subject)[axis]
        fit = losses.nearest(subject)
        return None if fit is None else SINGLE[axis](subject, fit)


def subnormals(subjects: list[Subject]) -> Answer | None:
    """What becomes of subnormal results, over the formats of the subjects, the widest first."""
    with np.errstate(all="ignore"):
        fit = losses.nearest(subjects[0])
        return None if fit is None else arithmetic.subnormals(subjects, fit)
