"""Random pictures: anchors on a grid and ground truths, reproducible."""

import numpy as np


def grid_anchors(size, levels=(3, 4, 5, 6)):
    """Nine anchors a location as the paper has them, for a square picture of `size` pixels; float32."""
    blocks = []
    for level in levels:
        stride = 2**level
        centers = (np.arange(-(-size // stride)) + 0.5) * stride
        sides = np.array([4 * stride * 2 ** (k / 3) for k in range(3)])
        widths = np.concatenate([sides * np.sqrt(1 / ratio) for ratio in (0.5, 1, 2)])
        heights = np.concatenate([sides * np.sqrt(ratio) for ratio in (0.5, 1, 2)])
        y, x = np.meshgrid(centers, centers, indexing="ij")
        middle = np.stack([x, y, x, y], -1)[:, :, None]
        blocks.append((middle + np.stack([-widths, -heights, widths, heights], -1) / 2).reshape(-1, 4))
    return np.concatenate(blocks).astype(np.float32)


def random_boxes(generator, count, size, *, least=8, largest=160, integers=False):
    """Boxes inside a square picture; float32."""
    sides = generator.uniform(least, largest, (count, 2))
    corners = generator.uniform(0, size - largest, (count, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1)
    return (np.round(boxes) if integers else boxes).astype(np.float32)


def integer_anchors(generator, count, size):
    """Anchors with many ties: integer corners on a coarse grid; float32."""
    corners = generator.integers(0, size // 4, (count, 2)) * 4
    sides = generator.integers(1, 5, (count, 2)) * 4
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
