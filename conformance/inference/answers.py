"""What was found out about one axis, and from which numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NONE_FITS = "none of the known values"


@dataclass(frozen=True)
class Evidence:
    """One call that decides between the values of an axis.

    Attributes
    ----------
    asked
        Its inputs, in words.
    got
        What the function returned.
    expected
        What each value of the axis would give.
    """

    asked: str
    got: str
    expected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The values of one axis that fit.

    Attributes
    ----------
    axis
        Its key in the profile.
    fits
        The values that fit, the most specific first; none where the function behaves as none of them.
    evidence
        What was measured.
    note
        What else is to be known, such as which number was added in the place of a clip.
    """

    axis: str
    fits: tuple[Any, ...]
    evidence: Sequence[Evidence] = ()
    note: str = ""

    @property
    def behaves_as(self) -> str:
        """The values that fit, in words."""
        return " or ".join(str(value) for value in self.fits) if self.fits else NONE_FITS


def number(value: Any) -> str:
    """A number with six digits."""
    return f"{float(value):.6g}"
