"""A short run of the kernels for compute-sanitizer: every encoding and reduction, sizes beside the ends of pieces."""

import torch

import focal_ref


def main() -> None:
    """Run the kernels of PyTorch, and of CuPy where it is there."""
    for size in (1, 2047, 2049, 9001):
        logits = torch.randn(size, 7, device="cuda", requires_grad=True)
        labels = torch.randint(-2, 7, (size,), device="cuda")
        targets = torch.rand(size, 7, device="cuda")
        focal_ref.loss_from_labels(logits, labels, reduction="sum").backward()
        focal_ref.loss(logits, targets).sum().backward()
        focal_ref.loss(logits.mT, (targets > 0.5).mT, gamma=1.5).sum().backward()
        focal_ref.softmax_loss(logits, labels.clamp(min=0), reduction="sum").backward()
    torch.cuda.synchronize()
    try:
        import cupy
    except ImportError:
        print("CuPy is not installed: its kernels were not run")
        return
    for size in (1, 2047, 2049, 9001):
        logits, labels = cupy.random.standard_normal((size, 7)), cupy.random.randint(-2, 7, size)
        focal_ref.value_and_grad(logits, labels, function=focal_ref.loss_from_labels, reduction="sum")
    cupy.cuda.runtime.deviceSynchronize()


if __name__ == "__main__":
    main()
