"""Reference implementation of the focal loss, exact on every array library."""

from focal_ref._threads import get_num_threads, set_num_threads
from focal_ref._version import __version__
from focal_ref.derivatives import parameter_gradients, second_derivative, value_and_grad
from focal_ref.losses import loss, loss_from_labels, loss_from_probabilities
from focal_ref.prior import prior_bias
from focal_ref.relatives import asymmetric_loss, heatmap_focal_loss, quality_focal_loss, varifocal_loss
from focal_ref.softmax import softmax_loss
from focal_ref.star import star_loss
from focal_ref.targets import BACKGROUND, IGNORE, check_targets

__all__ = [
    "BACKGROUND",
    "IGNORE",
    "__version__",
    "asymmetric_loss",
    "check_targets",
    "get_num_threads",
    "heatmap_focal_loss",
    "loss",
    "loss_from_labels",
    "loss_from_probabilities",
    "parameter_gradients",
    "prior_bias",
    "quality_focal_loss",
    "second_derivative",
    "set_num_threads",
    "softmax_loss",
    "star_loss",
    "value_and_grad",
    "varifocal_loss",
]
