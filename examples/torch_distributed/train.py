"""Train a small detector on any number of processes; loss and gradients are those of a single one.

python train.py
torchrun --standalone --nproc-per-node 2 train.py
"""

import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from focal_ref.detection import anchor_boxes, prior_bias, retinanet_loss
from focal_ref.integrations.torch_distributed import SumOverRanks

PICTURES, SIDE, CLASSES, STEPS = 7, 64, 3, 5


class Detector(torch.nn.Module):
    """One level of stride 8 with nine anchors a location."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, kernel_size=8, stride=8), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3, padding=1)
        )
        self.classes = torch.nn.Conv2d(16, 9 * CLASSES, 3, padding=1)
        self.boxes = torch.nn.Conv2d(16, 9 * 4, 3, padding=1)
        torch.nn.init.constant_(self.classes.bias, prior_bias(0.01))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of pictures (N, 1, SIDE, SIDE), the logits (N, A, CLASSES) and the offsets (N, A, 4)."""
        features = self.body(pictures).relu()
        outputs = (head(features).permute(0, 2, 3, 1) for head in (self.classes, self.boxes))
        # The number of anchors is written out: a batch of no pictures does not tell it.
        anchors = 9 * (SIDE // 8) ** 2
        logits, deltas = (
            output.reshape(len(pictures), anchors, last) for output, last in zip(outputs, (CLASSES, 4), strict=True)
        )
        return logits, deltas


def dataset() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures with a bright square each, but for the last; boxes (N, 1, 4), classes (N, 1), and which are real."""
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(PICTURES, 1, SIDE, SIDE, generator=generator)
    corners = torch.randint(0, SIDE - 32, (PICTURES, 2), generator=generator)
    for picture, (x, y) in zip(pictures[:-1], corners.tolist(), strict=False):
        picture[0, y : y + 32, x : x + 32] += 1.0
    boxes = torch.cat([corners, corners + 32], dim=1).float()[:, None]
    labels = torch.arange(PICTURES)[:, None] % CLASSES
    valid = torch.arange(PICTURES)[:, None] < PICTURES - 1
    return pictures, boxes, labels, valid


def main() -> None:
    """Train, and print the loss of all pictures."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if on_gpu else torch.device("cpu")
    if "RANK" in os.environ:
        dist.init_process_group("nccl" if on_gpu else "gloo")
    torch.manual_seed(0)
    model = Detector().to(device)
    wrapped = DistributedDataParallel(model) if dist.is_initialized() else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    anchors = anchor_boxes((SIDE, SIDE), levels=(3,), sizes=(32.0,), like=torch.zeros(0, device=device))
    # Every rank its pictures; with more ranks than pictures some have none.
    pictures, boxes, labels, valid = (array[rank::world].to(device) for array in dataset())
    ranks = SumOverRanks()
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        logits, deltas = wrapped(pictures)
        loss = retinanet_loss(
            logits, deltas, anchors, boxes, labels, gt_valid=valid, normalizer="batch", sum_over_ranks=ranks
        )
        loss.total.backward()
        optimizer.step()
        whole = float(ranks.loss_of_all(loss.total))
        if rank == 0:
            print(f"step {step}: loss {whole:.6f}")
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
