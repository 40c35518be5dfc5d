"""Calls of the losses that are the same on a whole tensor and on a DTensor, by their names."""

import torch

import focal_ref

SHAPE = (5, 7, 3)
"""No number of processes divides an axis; with four one has nothing of the first, and one nothing of the last."""


def arrays(dtype=torch.float32):
    """Logits, and what goes with them."""
    generator = torch.Generator().manual_seed(17)
    logits = 3 * torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    shares = torch.rand(SHAPE, generator=generator, dtype=torch.float64)
    labels = torch.randint(-2, SHAPE[-1], SHAPE[:-1], generator=generator)
    return {
        "logits": logits.to(dtype),
        "hard": (shares < 0.3).to(torch.int64),
        "soft": shares,
        "labels": labels,
        "classes": torch.where(labels == focal_ref.BACKGROUND, 0, labels),
        "gamma": torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64),
        "weights": torch.rand((SHAPE[0], 1, 1), generator=generator, dtype=torch.float64),
        "of_rows": torch.rand(SHAPE[:-1], generator=generator, dtype=torch.float64),
    }


LOSSES = {
    "dense": (focal_ref.loss, "hard", {}),
    "soft": (focal_ref.loss, "soft", {"gamma": "gamma", "weights": "weights"}),
    "labels": (focal_ref.loss_from_labels, "labels", {"weights": "weights"}),
    "softmax": (focal_ref.softmax_loss, "classes", {"gamma": "gamma", "weights": "of_rows"}),
}
RELATIVES = {
    "star": (focal_ref.star_loss, "hard", {}),
    "quality": (focal_ref.quality_focal_loss, "soft", {}),
    "varifocal": (focal_ref.varifocal_loss, "soft", {}),
    "asymmetric": (focal_ref.asymmetric_loss, "hard", {}),
    "heatmap": (focal_ref.heatmap_focal_loss, "soft", {}),
    "softmax_rows": (focal_ref.softmax_loss, "soft", {}),
}
REDUCTIONS = ("none", "sum", "mean")


def called(case, given, targets, reduction):
    """The result of a case, and the derivatives of a fixed mixture of its elements."""
    function, _, others = case
    options = {name: given[of] for name, of in others.items()}
    leaves = [given["logits"], *options.values()]
    for leaf in leaves:
        leaf.requires_grad_()
    result = function(given["logits"], targets, reduction=reduction, **options)
    # Powers of two, so that nothing is rounded on the way back.
    factor = 2.0 if result.ndim == 0 else given["powers"][..., 0] if result.ndim == 2 else given["powers"]
    (result * factor).sum().backward()
    return result, [leaf.grad for leaf in leaves]


def powers():
    """Of two, one for each logit."""
    exponents = torch.randint(-2, 3, SHAPE, generator=torch.Generator().manual_seed(2))
    return torch.ldexp(torch.ones(SHAPE), exponents)
