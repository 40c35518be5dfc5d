"""Anchors: the boxes on a grid over each pyramid level that a detector classifies."""

import dataclasses
import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from focal_ref._arguments import check_choice
from focal_ref.detection._arrays import Array, adapter_of
from focal_ref.detection.boxes import check_image_size, check_offset

__all__ = ["ANCHOR_PRESETS", "AnchorOptions", "anchor_boxes", "anchor_preset"]

_OCTAVE = (1.0, 2.0 ** (1.0 / 3.0), 2.0 ** (2.0 / 3.0))


def _levels(value: Any) -> tuple[int, ...]:
    """Levels as Python integers."""
    try:
        levels = tuple(operator.index(number) for number in value if not isinstance(number, bool))
    except TypeError:
        levels = ()
    if not levels or len(levels) != len(value) or not all(0 <= level <= 30 for level in levels):
        raise ValueError(f"levels: got {value!r}; a sequence of integers from 0 to 30")
    return levels


def _positive(name: str, value: Any) -> tuple[float, ...]:
    """Numbers as Python floats."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else ()
    if not numbers or not all(_is_number(number) and math.isfinite(number) and number > 0 for number in numbers):
        raise ValueError(f"{name}: got {value!r}; a sequence of finite numbers > 0")
    return tuple(float(number) for number in numbers)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class AnchorOptions:
    """The options of `anchor_boxes`, those of the paper by default.

    Attributes
    ----------
    levels
        Pyramid levels; level l has ``ceil(height / 2^l)`` rows and ``ceil(width / 2^l)`` columns of locations.
    sizes
        One for each level, in pixels: the square root of the area of an anchor of scale 1.
    scales
        Factors of the sizes.
    ratios
        Heights divided by widths.
    order
        How the anchors of one location follow each other: "ratio_scale", for each ratio all scales; "scale_ratio", for
        each scale all ratios.
    layout
        "location": within a level, rows of locations from the top, and the anchors of a location side by side;
        "anchor": for each of a location's anchors the whole grid.
    truncate
        Whether size times scale is cut off to an integer.
    rounding
        "none"; "corners": the corners around a location are rounded to integers, halves to the even one; "cell": width
        and height of the ratio are rounded to integers at the size of one stride, then scaled to the anchor's size.
    center
        Where the first location lies, in strides: 0.5 is the middle of its cell, 0 the corner.
    stride
        Distance of locations: "power" is 2^l; "floor" the picture's length divided by the number of locations, rounded
        down; "quotient" the same, not rounded.
    stretch
        Whether widths and heights are multiplied by the distance of locations over 2^l.
    offset
        1 for boxes that are ``x2 - x1 + 1`` wide; the centers of their pixels are at integers.
    clip
        Whether boxes are cut off at the picture's border. One that lies outside is left without area.
    arithmetic
        How float32 anchors are computed: "float64", rounded once at the end; "cell", the corners around a location are
        rounded to float32 and the location is added in float32; "float32", every step. Float64 anchors are computed in
        float64 whatever this says.
    """

    levels: tuple[int, ...] = (3, 4, 5, 6, 7)
    sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    scales: tuple[float, ...] = _OCTAVE
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    order: str = "ratio_scale"
    layout: str = "location"
    truncate: bool = False
    rounding: str = "none"
    center: float = 0.5
    stride: str = "power"
    stretch: bool = False
    offset: int = 0
    clip: bool = False
    arithmetic: str = "float64"

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", _levels(self.levels))
        for name in ("sizes", "scales", "ratios"):
            object.__setattr__(self, name, _positive(name, getattr(self, name)))
        if len(self.sizes) != len(self.levels):
            raise ValueError(
                f"sizes: got {len(self.sizes)} for {len(self.levels)} levels; one for each level, such as "
                f"{tuple(4.0 * 2.0**level for level in self.levels)}"
            )
        check_choice("order", self.order, ("ratio_scale", "scale_ratio"))
        check_choice("layout", self.layout, ("location", "anchor"))
        check_choice("rounding", self.rounding, ("none", "corners", "cell"))
        check_choice("stride", self.stride, ("power", "floor", "quotient"))
        check_choice("arithmetic", self.arithmetic, ("float64", "cell", "float32"))
        for name in ("truncate", "stretch", "clip"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}: got {getattr(self, name)!r}; it is True or False")
        if not _is_number(self.center) or not 0.0 <= self.center <= 1.0:
            raise ValueError(f"center: got {self.center!r}; a number of strides in [0, 1]")
        check_offset(self.offset)
        if self.truncate and min(self.sizes) * min(self.scales) < 1.0:
            raise ValueError(
                f"truncate: got True with a size of {min(self.sizes) * min(self.scales)!r}; sizes that are cut off to "
                "integers are at least 1"
            )


# keras-retinanet keeps its scales in float32, and multiplies in float64.
_OCTAVE_FLOAT32 = tuple(float(np.float32(scale)) for scale in _OCTAVE)

ANCHOR_PRESETS: dict[str, AnchorOptions] = {
    "paper": AnchorOptions(),
    "detectron": AnchorOptions(ratios=(1.0, 2.0, 0.5), order="scale_ratio", layout="anchor", rounding="cell", offset=1),
    "detectron2": AnchorOptions(order="scale_ratio", center=0.0, arithmetic="cell"),
    "torchvision": AnchorOptions(truncate=True, rounding="corners", center=0.0, stride="floor", arithmetic="float32"),
    "mmdet": AnchorOptions(center=0.0, arithmetic="float32"),
    "fizyr": AnchorOptions(scales=_OCTAVE_FLOAT32),
    "tf_official": AnchorOptions(ratios=(2.0, 1.0, 0.5), order="scale_ratio", stride="quotient", arithmetic="cell"),
    "effdet": AnchorOptions(ratios=(2.0, 1.0, 0.5), order="scale_ratio", stride="quotient", stretch=True),
    "keras_hub": AnchorOptions(truncate=True, rounding="corners", center=0.0, stride="floor", arithmetic="float32"),
}
"""What public detectors choose, by name."""


def anchor_preset(name: str, /) -> AnchorOptions:
    """The anchors of a public detector's RetinaNet.

    =============== =================================================================================================
    name            what differs from the paper
    =============== =================================================================================================
    ``paper``       nothing: exact sizes, centers in the middle of the cells; the order within a location, which the
                    paper leaves open, is for each ratio 1/2, 1, 2 all scales
    ``detectron``   scale by scale the ratios 1, 2, 1/2 (as its RetinaNet configurations have them), each over the whole
                    grid; boxes one pixel wider; widths and heights rounded at the size of one stride
    ``detectron2``  scale by scale the ratios; centers at the cells' corners
    ``torchvision`` sizes cut off to integers (32, 40, 50); corners rounded; centers at the cells' corners; strides are
                    the picture's length divided by the grid's and rounded down: 61 and 114 at the last two levels of
                    800 pixels
    ``mmdet``       centers at the cells' corners
    ``fizyr``       keras-retinanet: the scales are rounded to float32
    ``tf_official`` scale by scale, from the highest ratio to the widest; strides are the picture's length divided by
                    the grid's: 800/7 at the last level of 800 pixels
    ``effdet``      as ``tf_official``, and anchors are as many strides large as at 2^l: 457 instead of 512 pixels there
    ``keras_hub``   as ``torchvision``: its documentation calls the ratios widths to heights, its code takes them as
                    heights to widths
    =============== =================================================================================================

    Parameters
    ----------
    name : str
        One of the above.

    Returns
    -------
    AnchorOptions
        To look at, or to change with `dataclasses.replace`.

    Raises
    ------
    ValueError
        For another name.

    Notes
    -----
    In float32, ``torchvision`` (0.28.0), ``mmdet`` (3.3.0) and ``effdet`` (0.4.1) have the bits of the real code, which
    the tests run. ``detectron``, ``detectron2``, ``fizyr`` (keras-retinanet 1.0.0), ``tf_official``
    (tf-models-official 2.20.0) and ``keras_hub`` (0.32.0) are from their source code; not run by the tests. The bits of
    ``tf_official`` are promised only where the picture's height and width over the numbers of rows and columns are
    integers: for others they depend on how TensorFlow adds up float32 strides.

    Examples
    --------
    >>> from focal_ref.detection import anchor_preset
    >>> anchor_preset("tf_official").ratios
    (2.0, 1.0, 0.5)
    """
    check_choice("preset", name, tuple(ANCHOR_PRESETS))
    return ANCHOR_PRESETS[name]


def anchor_boxes(
    image_size: tuple[int, int],
    /,
    *,
    preset: str = "paper",
    like: Array | None = None,
    dtype: str = "float32",
    levels: tuple[int, ...] | None = None,
    sizes: tuple[float, ...] | None = None,
    scales: tuple[float, ...] | None = None,
    ratios: tuple[float, ...] | None = None,
    order: Literal["ratio_scale", "scale_ratio"] | None = None,
    layout: Literal["location", "anchor"] | None = None,
    truncate: bool | None = None,
    rounding: Literal["none", "corners", "cell"] | None = None,
    center: float | None = None,
    stride: Literal["power", "floor", "quotient"] | None = None,
    stretch: bool | None = None,
    offset: int | None = None,
    clip: bool | None = None,
    arithmetic: Literal["float64", "cell", "float32"] | None = None,
) -> Array:
    r"""All anchors of a picture: nine at each location of the levels P3 to P7, as in the paper, unless told otherwise.

    An anchor of size s, scale c and ratio r = height / width at row i and column j of level l is

    .. math:: \left(x \mp \tfrac{s c}{2\sqrt r},\ y \mp \tfrac{s c \sqrt r}{2}\right),
        \qquad x = (j + \tfrac12)\,2^l, \quad y = (i + \tfrac12)\,2^l

    with s = 32, ..., 512 for l = 3, ..., 7, c = 1, 2^(1/3), 2^(2/3) and r = 1/2, 1, 2. Anchors reach beyond the
    picture. Levels follow each other, in each the rows of locations from the top, in a row the locations from the left.

    Parameters
    ----------
    image_size : tuple of two ints
        Height and width in pixels, of the picture as the network gets it, with its padding.
    preset : str, default "paper"
        Whose anchors, see `anchor_preset`: "paper", "detectron", "detectron2", "torchvision", "mmdet", "fizyr",
        "tf_official", "effdet" or "keras_hub".
    like : array, optional
        Its library and device are those of the result; NumPy without it. JAX places the result itself.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    levels, sizes, scales, ratios, order, layout, truncate, rounding, center, stride, stretch, offset, clip, arithmetic
        In place of what the preset says, see `AnchorOptions`.

    Returns
    -------
    array
        Shape (A, 4): corners (x1, y1, x2, y2) in pixels. Computed by NumPy on the host, so that every library and
        device gets the same bits.

    Raises
    ------
    TypeError
        If `like` is no array.
    ValueError
        For a size that is not two positive integers, and for other options than the documented ones.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4.

    Examples
    --------
    >>> from focal_ref.detection import anchor_boxes
    >>> anchor_boxes((800, 1344)).shape
    (201600, 4)
    >>> anchor_boxes((800, 800), ratios=(1.0,), scales=(1.0,))[:2]
    array([[-12., -12.,  20.,  20.],
           [ -4., -12.,  28.,  20.]], dtype=float32)
    >>> anchor_boxes((800, 800), preset="torchvision")[0]
    array([-23., -11.,  23.,  11.], dtype=float32)
    """
    height, width = check_image_size(image_size)
    check_choice("dtype", dtype, ("float32", "float64"))
    given = {
        "levels": levels,
        "sizes": sizes,
        "scales": scales,
        "ratios": ratios,
        "order": order,
        "layout": layout,
        "truncate": truncate,
        "rounding": rounding,
        "center": center,
        "stride": stride,
        "stretch": stretch,
        "offset": offset,
        "clip": clip,
        "arithmetic": arithmetic,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    options = dataclasses.replace(anchor_preset(preset), **changes)
    adapter = None if like is None else adapter_of(like)
    boxes = np.concatenate(list(_level_boxes(height, width, options, dtype)))
    return boxes if adapter is None else adapter.asarray(boxes, like=like)


def _level_boxes(height: int, width: int, options: AnchorOptions, dtype: str) -> Iterator[Any]:
    """The anchors of each level, (locations x anchors, 4)."""
    single = dtype == "float32" and options.arithmetic != "float64"
    for level, size in zip(options.levels, options.sizes, strict=True):
        rows, columns = -(-height // 2**level), -(-width // 2**level)
        down, right = _distance(level, rows, height, options), _distance(level, columns, width, options)
        widths, heights = _lengths(level, size, options, dtype)
        if options.stretch:
            widths, heights = widths * (right / 2**level), heights * (down / 2**level)
        # From the middle of the first pixel to that of the last, where pixels are counted whole.
        x, y = (widths - options.offset) / 2.0, (heights - options.offset) / 2.0
        corners = np.stack([-x, -y, x, y], axis=-1)
        if options.rounding == "corners":
            corners = np.round(corners)
        ys = (np.arange(rows) + options.center) * down - options.offset / 2.0
        xs = (np.arange(columns) + options.center) * right - options.offset / 2.0
        grid = np.empty((rows, columns, 1, 4), np.float32 if single else np.float64)
        grid[..., 0::2] = xs[:, np.newaxis, np.newaxis]
        grid[..., 1::2] = ys[:, np.newaxis, np.newaxis, np.newaxis]
        boxes = grid + corners.astype(grid.dtype)
        if options.clip:
            last = np.array([width, height] * 2, boxes.dtype) - options.offset
            boxes = np.minimum(np.maximum(boxes, 0.0), last)
        if options.layout == "anchor":
            boxes = boxes.transpose(2, 0, 1, 3)
        yield boxes.reshape(-1, 4).astype(dtype)


def _lengths(level: int, size: float, options: AnchorOptions, dtype: str) -> tuple[Any, Any]:
    """Widths and heights of one location's anchors."""
    working = np.float32 if dtype == options.arithmetic == "float32" else np.float64
    lengths: Any = np.array([size * scale for scale in options.scales])
    if options.truncate:
        lengths = np.floor(lengths)
    lengths = lengths.astype(working)
    ratios: Any = np.array(options.ratios, working)
    if options.rounding == "cell":
        cell = 2.0**level
        # Detectron has no lower limit; without one a ratio beyond the stride squared leaves no width.
        cell_widths = np.maximum(np.round(np.sqrt(cell * cell / ratios)), 1.0)
        cell_heights = np.maximum(np.round(cell_widths * ratios), 1.0)
        widths, heights = np.outer(cell_widths, lengths / cell), np.outer(cell_heights, lengths / cell)
    else:
        roots = np.sqrt(ratios)
        widths, heights = np.outer(1.0 / roots, lengths), np.outer(roots, lengths)
    if options.order == "scale_ratio":
        widths, heights = widths.T, heights.T
    return widths.ravel(), heights.ravel()


def _distance(level: int, count: int, length: int, options: AnchorOptions) -> float:
    """From one location to the next along a side of the picture."""
    if options.stride == "power":
        return 2.0**level
    return float(length // count) if options.stride == "floor" else length / count
