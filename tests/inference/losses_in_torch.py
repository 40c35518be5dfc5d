"""Losses in PyTorch as people write them, each with a signature and conventions of its own."""

import torch
from torch.nn import functional


class OfCrossEntropy(torch.nn.Module):
    """Labels in, the mean over those that are not ignored out."""

    def __init__(self, gamma=2.0, weight=None, ignore_index=-100, reduction="mean"):
        super().__init__()
        self.gamma, self.weight, self.ignore_index, self.reduction = gamma, weight, ignore_index, reduction

    def forward(self, input, target):
        entropy = functional.cross_entropy(input, target, ignore_index=self.ignore_index, reduction="none")
        each = (1 - torch.exp(-entropy)) ** self.gamma * entropy
        if self.weight is not None:
            each = each * self.weight[target.clamp(min=0)]
        if self.reduction == "mean":
            return each.sum() / (target != self.ignore_index).sum()
        return each.sum() if self.reduction == "sum" else each


class MeanAlone(torch.nn.Module):
    """No argument for a reduction at all."""

    def __init__(self, alpha=0.25, gamma=2):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def forward(self, inputs, targets):
        entropy = functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
        return (self.alpha * (1 - torch.exp(-entropy)) ** self.gamma * entropy).mean()


def with_keywords(pred, target, **options):
    gamma, alpha = options.get("gamma", 2.0), options.get("alpha", 0.25)
    p = torch.sigmoid(pred)
    distance = target * (1 - p) + (1 - target) * p
    weight = target * alpha + (1 - target) * (1 - alpha)
    return weight * distance**gamma * functional.binary_cross_entropy_with_logits(pred, target, reduction="none")


def in_boolean_average(input, target, gamma=2.0, size_average=True):
    """Sum or mean, by a flag."""
    entropy = functional.binary_cross_entropy_with_logits(input, target, reduction="none")
    each = (1 - torch.exp(-entropy)) ** gamma * entropy
    return each.mean() if size_average else each.sum()


def float64_in_float32(inputs, targets, alpha=-1, gamma=2, reduction="none"):
    inputs, targets = inputs.float(), targets.float()
    p = torch.sigmoid(inputs)
    entropy = functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    each = (1 - p * targets - (1 - p) * (1 - targets)) ** gamma * entropy
    if alpha >= 0:
        each = each * (alpha * targets + (1 - alpha) * (1 - targets))
    return each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each


def from_logits_or_not(y_true, y_pred, use_balancing=False, alpha=0.25, gamma=2.0, from_logits=False):
    p = torch.sigmoid(y_pred) if from_logits else y_pred
    p = p.clamp(1e-7, 1 - 1e-7)
    entropy = -y_true * torch.log(p) - (1 - y_true) * torch.log(1 - p)
    each = (1 - y_true * p - (1 - y_true) * (1 - p)) ** gamma * entropy
    return each * (y_true * alpha + (1 - y_true) * (1 - alpha)) if use_balancing else each


def one_sigmoid_a_class(logits, labels, num_classes, gamma=2.0, alpha=0.25):
    """Labels, of which the number of classes is background."""
    hot = functional.one_hot(labels, num_classes + 1)[..., :-1].to(logits.dtype)
    p = torch.sigmoid(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, hot, reduction="none")
    p_t = p * hot + (1 - p) * (1 - hot)
    return (alpha * hot + (1 - alpha) * (1 - hot)) * (1 - p_t) ** gamma * entropy


def two_dimensions_alone(logits, targets, gamma=2.0, alpha=None):
    if logits.dim() != 2:
        raise ValueError("logits are (N, C)")
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    each = (1 - torch.exp(-entropy)) ** gamma * entropy
    return each if alpha is None else torch.where(targets == 1, alpha, 1.0) * each


def without_a_graph(logits, targets, gamma=2.0):
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ((1 - torch.exp(-entropy)) ** gamma * entropy).detach()


class _Elements(torch.nn.Module):
    def __init__(self, alpha, gamma):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def forward(self, logits, target):
        return with_keywords(logits, target, alpha=self.alpha, gamma=self.gamma)


instance = _Elements(0.4, 3.0)


def four_dimensions_alone(pred, label, gamma=2.0, weight=None):
    if pred.dim() != 4:
        raise ValueError("pred is (N, C, H, W)")
    log_p = functional.log_softmax(pred, dim=1).gather(1, label.unsqueeze(1)).squeeze(1)
    each = -((1 - log_p.exp()) ** gamma) * log_p
    return each if weight is None else each * weight[label]
