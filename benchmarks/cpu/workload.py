"""What is computed in every process: the same logits and labels from the same seed.

The classification loss of one step of RetinaNet, an 800 x 1024 picture: 153,576 anchors and 80 classes, of the anchors
0.1 % positive and 2 % ignored, alpha 0.25, gamma 2, the sum over the number of positives.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ALPHA = 0.25
GAMMA = 2.0
ANCHORS = 153_576
CLASSES = 80
BACKGROUND, IGNORE = -1, -2

ITEM_BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Workload:
    """The shape and format of the inputs.

    Attributes
    ----------
    kind
        "labels" (one sigmoid a class), "binary" (a target an element) or "softmax" (labels, one softmax a row).
    passes
        How often a call goes over the same inputs: for more elements than memory holds.
    """

    kind: str
    rows: int
    classes: int
    storage: str = "float32"
    passes: int = 1

    @property
    def elements(self) -> int:
        """Logits that one call reads."""
        return self.rows * self.classes * self.passes

    @property
    def logits_bytes(self) -> int:
        """Size of the logits, and of their gradient."""
        return self.rows * self.classes * ITEM_BYTES[self.storage]


@dataclass(frozen=True)
class Inputs:
    """The arrays of a workload.

    Attributes
    ----------
    labels
        int64 labels, or for kind "binary" uint8 targets in the logits' shape.
    normalizer
        What the sum is divided by: the number of positives.
    """

    workload: Workload
    logits: Array
    labels: Array
    normalizer: float

    def one_hot(self, *, ignored: float = 0.0) -> Array:
        """Targets in the logits' shape, float32; ignored rows count as background unless another number is given."""
        if self.workload.kind == "binary":
            return self.labels.astype(np.float32)
        targets = np.zeros(self.logits.shape, dtype=np.float32)
        positive = np.flatnonzero(self.labels >= 0)
        targets[positive, self.labels[positive]] = 1.0
        targets[self.labels == IGNORE] = ignored
        return targets


def make(workload: Workload) -> Inputs:
    """Draw the inputs: logits about where a trained head has them."""
    generator = np.random.default_rng(20170807)
    shape = (workload.rows, workload.classes)
    logits = generator.standard_normal(shape, dtype=np.float32)
    logits *= np.float32(2.0)
    if workload.kind != "softmax":
        logits -= np.float32(4.0)
    if workload.storage == "bfloat16":
        import ml_dtypes

        logits = logits.astype(ml_dtypes.bfloat16)
    if workload.kind == "binary":
        labels: Array = generator.integers(0, 100, shape, dtype=np.uint8)
        np.equal(labels, 0, out=labels, casting="unsafe")
        positives = int(np.count_nonzero(labels))
    elif workload.kind == "softmax":
        labels = generator.integers(0, workload.classes, workload.rows)
        positives = workload.rows
    else:
        labels = np.full(workload.rows, BACKGROUND)
        shuffled = generator.permutation(workload.rows)
        # At least one of each, also among a few rows.
        positives = max(1, round(workload.rows / 1000))
        ignored = max(1, round(workload.rows / 50))
        labels[shuffled[:positives]] = generator.integers(0, workload.classes, positives)
        labels[shuffled[positives : positives + ignored]] = IGNORE
    return Inputs(workload, logits, labels, float(max(1, positives)))
