"""What docs/reports/transformers.md proposes for transformers/loss/."""

import torch
import torch.nn.functional as F
from transformers.loss.loss_rt_detr import RTDetrLoss as ReleasedLoss


def sigmoid_focal_loss(inputs, targets, num_boxes, alpha: float = 0.25, gamma: float = 2):
    """Arguments and result of ``sigmoid_focal_loss`` in ``transformers/loss/loss_for_object_detection.py``."""
    targets = targets.to(inputs.dtype)
    negative = targets < 0.5
    margin = (1 - 2 * negative.to(inputs.dtype)) * inputs
    # How much of the target belongs to the other class: nothing, but for soft targets. No difference of near numbers.
    other = torch.where(negative, targets, 1 - targets)
    # softplus's default threshold of 20 is too low for float64.
    ce_loss = F.softplus(-margin, threshold=40.0) + other * margin
    # Beyond this margin 1 - p_t is no normal number any more, and the derivative of x ** gamma is infinite at 0.
    limit = 9.7 if inputs.dtype == torch.float16 else 708.0 if inputs.dtype == torch.float64 else 87.0
    one_minus_p_t = (1 - 2 * other) * torch.sigmoid(-margin.clamp(-limit, limit)) + other
    loss = ce_loss * one_minus_p_t**gamma

    if alpha >= 0:
        alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
        loss = alpha_t * loss

    return loss.mean(1).sum() / num_boxes


class RTDetrLoss(ReleasedLoss):
    """``RTDetrLoss`` whose optional losses can be used."""

    def __init__(self, config):
        super().__init__(config)
        for name in ("loss_focal", "loss_bce", "loss_ce"):
            self.weight_dict.setdefault(name, 1.0)

    def loss_labels_focal(self, outputs, targets, indices, num_boxes, log=True):
        """Focal loss of the matched classes, a sum over the queries as in ``DeformableDetrImageLoss``."""
        src_logits = outputs["logits"]
        idx = self._get_source_permutation_idx(indices)
        target_classes_original = torch.cat([t["class_labels"][i] for t, (_, i) in zip(targets, indices, strict=True)])
        target_classes = torch.full(src_logits.shape[:2], self.num_classes, dtype=torch.int64, device=src_logits.device)
        target_classes[idx] = target_classes_original
        target = F.one_hot(target_classes, num_classes=self.num_classes + 1)[..., :-1]
        loss = sigmoid_focal_loss(src_logits, target, num_boxes, alpha=self.alpha, gamma=self.gamma)
        return {"loss_focal": loss * src_logits.shape[1]}
