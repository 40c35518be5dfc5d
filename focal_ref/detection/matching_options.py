"""How anchors are matched: the options, and what public detectors choose."""

from dataclasses import dataclass
from typing import Any

from focal_ref._arguments import check_choice
from focal_ref.detection.boxes import check_offset

__all__ = ["MATCHING_PRESETS", "MatchingOptions", "matching_preset"]


@dataclass(frozen=True)
class MatchingOptions:
    """The options of `match_anchors`, those of the paper by default.

    Attributes
    ----------
    positive
        An anchor whose best IoU is at least this is positive; in [0, 1].
    negative
        One whose best IoU is below this is background; in [0, `positive`]. In between it is ignored.
    negative_closed
        Whether an IoU of exactly `negative` is background too.
    low_quality
        Whether the anchors that overlap a ground truth best are promoted to positives although they are below
        `positive`: "none"; "band", only those that would be ignored; "all".
    low_quality_owner
        Which ground truth a promoted anchor belongs to: "argmax", the one that it overlaps best itself;
        "forcing_first" or "forcing_last", the first or last one that promotes it, also where the anchor was positive
        for another.
    low_quality_ties
        Where several anchors overlap a ground truth best: "all" are promoted, or the "first".
    low_quality_overlap
        Whether a ground truth that overlaps no anchor promotes none. Without it the best IoU of 0 is a tie of all
        anchors, and every one of them becomes positive (or the first).
    offset
        1 for boxes that are ``x2 - x1 + 1`` wide.
    epsilon
        Added to the union.
    exact_union
        Whether the union keeps what rounding takes from the sum of the two areas. Without it, as in other libraries, an
        IoU of integer boxes is right only while that sum is below 2^24 (float32); others differ in the last bits.
    undefined
        With ``invalid="keep"``, what an anchor is whose IoU with some ground truth is NaN: "positive", "ignored" or
        "background" whatever its other overlaps are (NaN is the largest for most libraries), or "zero": that pair does
        not overlap.
    """

    positive: float = 0.5
    negative: float = 0.4
    negative_closed: bool = False
    low_quality: str = "none"
    low_quality_owner: str = "argmax"
    low_quality_ties: str = "all"
    low_quality_overlap: bool = True
    offset: int = 0
    epsilon: float = 0.0
    exact_union: bool = True
    undefined: str = "ignored"

    def __post_init__(self) -> None:
        for name in ("positive", "negative"):
            value = getattr(self, name)
            if not _is_number(value) or not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}: got {value!r}; an IoU in [0, 1]")
        if self.negative > self.positive:
            raise ValueError(
                f"negative: got {self.negative!r} with positive={self.positive!r}; it is at most as large as positive"
            )
        for name in ("negative_closed", "low_quality_overlap", "exact_union"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}: got {getattr(self, name)!r}; it is True or False")
        check_choice("low_quality", self.low_quality, ("none", "band", "all"))
        check_choice("low_quality_owner", self.low_quality_owner, ("argmax", "forcing_first", "forcing_last"))
        check_choice("low_quality_ties", self.low_quality_ties, ("all", "first"))
        check_choice("undefined", self.undefined, ("positive", "ignored", "background", "zero"))
        check_offset(self.offset)
        if not _is_number(self.epsilon) or not 0.0 <= self.epsilon < 1.0:
            raise ValueError(f"epsilon: got {self.epsilon!r}; a number in [0, 1)")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_PROMOTING = {"low_quality": "all", "low_quality_overlap": False, "exact_union": False}
_TENSORFLOW = {
    **_PROMOTING,
    "positive": 0.5,
    "negative": 0.5,
    "low_quality_owner": "forcing_first",
    "low_quality_ties": "first",
}

MATCHING_PRESETS: dict[str, MatchingOptions] = {
    "paper": MatchingOptions(),
    "detectron": MatchingOptions(low_quality="band", offset=1, exact_union=False),
    "detectron2": MatchingOptions(**_PROMOTING, undefined="zero"),  # type: ignore[arg-type]  # values of several types
    "torchvision": MatchingOptions(**_PROMOTING, undefined="positive"),  # type: ignore[arg-type]  # likewise
    "mmdet": MatchingOptions(**_PROMOTING, low_quality_owner="forcing_last"),  # type: ignore[arg-type]  # likewise
    "fizyr": MatchingOptions(negative_closed=True, exact_union=False, undefined="background"),
    "tf_official": MatchingOptions(**_TENSORFLOW),  # type: ignore[arg-type]  # likewise
    "effdet": MatchingOptions(**_TENSORFLOW, undefined="positive"),  # type: ignore[arg-type]  # likewise
    "keras_hub": MatchingOptions(epsilon=1e-7, exact_union=False),
}
"""What public detectors choose, by name."""


def matching_preset(name: str, /) -> MatchingOptions:
    """The matching options of a public detector's RetinaNet (or of its port, where that is what exists).

    ================ =================================================================================================
    name             what differs from the paper
    ================ =================================================================================================
    ``paper``        nothing
    ``detectron``    boxes one pixel wider; promotes anchors that overlap a ground truth best from the ignored band
    ``detectron2``   promotes all such anchors, also where the best IoU is 0: every anchor becomes positive
    ``torchvision``  likewise; a NaN box makes every anchor positive
    ``mmdet``        likewise; a promoted anchor belongs to the last ground truth that promotes it
    ``fizyr``        keras-retinanet: an IoU of exactly 0.4 is background
    ``tf_official``  one threshold, 0.5; promotes the first best anchor of each ground truth, also where nothing
                     overlaps; it then belongs to the first ground truth that promotes it
    ``effdet``       as ``tf_official``, a port of it to PyTorch
    ``keras_hub``    adds 1e-7 to the union, so that an IoU of exactly 1/2 of small boxes is below 0.5
    ================ =================================================================================================

    Parameters
    ----------
    name : str
        One of the above.

    Returns
    -------
    MatchingOptions
        To look at, or to change with `dataclasses.replace`.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> from focal_ref.detection import matching_preset
    >>> matching_preset("mmdet").low_quality_owner
    'forcing_last'
    """
    check_choice("preset", name, tuple(MATCHING_PRESETS))
    return MATCHING_PRESETS[name]
