"""Focal loss, exact on every array library, and the conformance suite for everybody else's."""

from focal_ref._version import __version__
from focal_ref.losses import loss, value_and_grad
from focal_ref.prior import prior_bias

__all__ = ["__version__", "loss", "prior_bias", "value_and_grad"]
