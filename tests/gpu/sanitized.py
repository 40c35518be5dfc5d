"""A short run of one library's kernels, for compute-sanitizer: ``python sanitized.py torch`` or ``cupy``.

Every encoding and reduction, and sizes beside the ends of pieces.
"""

import sys

import focal_ref

SIZES = (1, 2047, 2049, 300_001)


def run_torch() -> None:
    """Triton's kernels: losses, backward, any strides, the softmax."""
    import torch

    for size in SIZES:
        for dtype in (torch.float32, torch.bfloat16):
            logits = torch.randn(size, 7, device="cuda").to(dtype).requires_grad_()
            labels = torch.randint(-2, 7, (size,), device="cuda")
            targets = torch.rand(size, 7, device="cuda")
            focal_ref.loss_from_labels(logits, labels, reduction="sum").backward()
            focal_ref.loss(logits, targets).sum().backward()
            focal_ref.loss(logits.mT, (targets > 0.5).mT, gamma=1.5).sum().backward()
            focal_ref.softmax_loss(logits, labels.clamp(min=0), reduction="sum").backward()
    torch.cuda.synchronize()


def run_cupy() -> None:
    """CuPy's kernels: values, gradients, second derivatives, sums."""
    import cupy

    for size in SIZES:
        for dtype in ("float64", "float32", "float16"):
            logits, targets = cupy.zeros(size, dtype), cupy.ones(size, bool)
            focal_ref.value_and_grad(logits, targets)
            focal_ref.value_and_grad(logits, targets, reduction="sum", precision="fast")
            focal_ref.second_derivative(logits, targets)
            labels = cupy.zeros(size, "int64")
            focal_ref.loss_from_labels(cupy.zeros((size, 3), dtype), labels, reduction="mean")
    cupy.cuda.Device().synchronize()


if __name__ == "__main__":
    {"torch": run_torch, "cupy": run_cupy}[sys.argv[1]]()
