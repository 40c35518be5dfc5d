"""A small detector and a batch of pictures, for one process and for many."""

import torch

import focal_ref
from focal_ref.detection import retinanet_loss

CLASSES = 3
ANCHORS = torch.tensor(
    [[x, y, x + size, y + size] for y in (0.0, 10.0, 20.0) for x in (0.0, 10.0, 20.0) for size in (8.0, 12.0)]
    + [[0.0, 0.0, 30.0, 30.0]]
)
"""19 of them: no number of processes divides them."""

BOXES = torch.tensor(
    [
        [[0.0, 0.0, 8.0, 8.0], [10.0, 10.0, 21.0, 22.0]],
        # A picture without a ground truth, hence without a positive.
        [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]],
        [[0.0, 0.0, 29.0, 30.0], [0.0, 0.0, 1.0, 1.0]],
        [[20.0, 20.0, 28.0, 28.0], [0.0, 10.0, 12.0, 22.0]],
        [[10.0, 0.0, 18.0, 8.0], [0.0, 0.0, 1.0, 1.0]],
    ]
)
VALID = torch.tensor([[True, True], [False, False], [True, False], [True, True], [True, False]])
LABELS = torch.tensor([[2, 0], [0, 0], [1, 0], [0, 1], [2, 0]])
PICTURES = len(BOXES)

NORMALIZERS = ("per_picture", "batch", "plus_one", "plus_one_per_picture", 12.5)
RUNS = [("float32", normalizer) for normalizer in NORMALIZERS] + [("float64", "per_picture"), ("float64", "batch")]
"""What both tests of training and of DTensor go through."""
SHARES = {
    1: [[0, 1, 2, 3, 4]],
    2: [[0, 1, 2, 4], [3]],
    3: [[0, 3], [1], [2, 4]],
    # One process has no positive, and one no picture.
    4: [[1], [0, 3, 4], [], [2]],
}
"""Number of processes to the pictures of each."""

TABLE_SUMS, TABLE_POSITIVES = torch.tensor([40.0, 40.0, 12.0, 8.0], dtype=torch.float64), torch.tensor([2, 0, 1, 0])
"""Of the table in docs/distributed.md."""


class Detector(torch.nn.Module):
    """Two linear heads on one linear layer."""

    def __init__(self, dtype):
        super().__init__()
        torch.manual_seed(7)
        self.body = torch.nn.Linear(6, 5, dtype=dtype)
        self.classes = torch.nn.Linear(5, len(ANCHORS) * CLASSES, dtype=dtype)
        self.boxes = torch.nn.Linear(5, len(ANCHORS) * 4, dtype=dtype)

    def forward(self, features):
        """Of features (N, 6), the logits (N, A, C) and the offsets (N, A, 4)."""
        hidden = self.body(features).tanh()
        logits = self.classes(hidden).reshape(len(features), len(ANCHORS), CLASSES) - 2.0
        return logits, self.boxes(hidden).reshape(len(features), len(ANCHORS), 4)


def features(dtype):
    """Of every picture, (N, 6)."""
    return torch.randn(PICTURES, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)


def outputs(dtype):
    """Logits and offsets of all pictures, made without a model."""
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(PICTURES, len(ANCHORS), CLASSES, generator=generator, dtype=torch.float64) - 2.0
    deltas = torch.randn(PICTURES, len(ANCHORS), 4, generator=generator, dtype=torch.float64)
    return logits.to(dtype), deltas.to(dtype)


def loss_of(model, chosen, dtype, **options):
    """Loss of some pictures by their numbers, maybe none."""
    logits, deltas = model(features(dtype)[chosen])
    return retinanet_loss(logits, deltas, ANCHORS, BOXES[chosen], LABELS[chosen], gt_valid=VALID[chosen], **options)


class Criterion(torch.nn.Module):
    """A loss of labels with a gamma that trains."""

    def __init__(self):
        super().__init__()
        self.gamma = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, logits, labels, normalizer):
        """The sum over the normalizer."""
        return focal_ref.loss_from_labels(logits, labels, gamma=self.gamma, reduction="sum", normalizer=normalizer)


ROWS = 11


def rows():
    """Logits (11, 3) and their labels."""
    generator = torch.Generator().manual_seed(11)
    logits = torch.randn(ROWS, 3, generator=generator, dtype=torch.float64)
    return logits, torch.randint(-2, 3, (ROWS,), generator=generator)


def own_rows(rank, world):
    """Which of them a rank has."""
    return slice(rank * ROWS // world, (rank + 1) * ROWS // world)
