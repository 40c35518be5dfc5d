"""What is read from a profile: errors that name file, key, value and what is allowed."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


class ProfileError(ValueError):
    """A profile that cannot be used; the text names file, key, value and what is allowed."""


class Table:
    """One table of a profile, whose every entry is asked for by its key.

    Parameters
    ----------
    values
        Of the table.
    source, place
        The file, and the table's name in it, for errors.
    """

    def __init__(self, values: Any, source: str, place: str) -> None:
        self.source, self.place = source, place
        if not isinstance(values, Mapping):
            raise ProfileError(f"{source}: {place}: got {values!r}; it is a table")
        self.values = values

    def error(self, key: str, text: str) -> ProfileError:
        """An error at a key."""
        return ProfileError(
            f"{self.source}: {self.place}.{key}: {text}" if self.place else f"{self.source}: {key}: {text}"
        )

    def keys(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Refuse missing and unknown keys."""
        required = tuple(required)
        known = (*required, *optional)
        unknown = [key for key in self.values if key not in known]
        # A mistyped key is told before the one that is missing for it.
        mistyped = [key for key in unknown if suggestion(key, known)]
        missing = [key for key in required if key not in self.values]
        if missing and not mistyped:
            raise self.error(missing[0], "not declared; every axis is")
        for key in (*mistyped, *unknown):
            raise self.error(key, f"unknown; allowed are {listed(known)}{suggestion(key, known)}")

    def one_of(self, key: str, allowed: Iterable[Any], default: Any = None) -> Any:
        """A value from a closed set."""
        value = self.values.get(key, default)
        return check_one_of(value, tuple(allowed), self.source, f"{self.place}.{key}" if self.place else key)

    def typed(self, key: str, kind: type | tuple[type, ...], default: Any, what: str) -> Any:
        """A value of a type; a boolean is no number."""
        value = self.values.get(key, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, f"got {value!r}; {what}")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        return str(self.typed(key, str, default, "it is a text"))

    def table(self, key: str) -> Mapping[str, Any]:
        """A table inside it, empty if it is left out."""
        value: Mapping[str, Any] = self.typed(key, dict, {}, "it is a table")
        return value


def check_one_of(value: Any, allowed: tuple[Any, ...], source: str, key: str) -> Any:
    """Refuse a value that is not in a closed set."""
    # 0 and False are equal, but only one of them is meant.
    if not any(value == one and type(value) is type(one) for one in allowed):
        raise ProfileError(f"{source}: {key}: got {value!r}; allowed are {listed(allowed)}{suggestion(value, allowed)}")
    return value


def suggestion(value: Any, allowed: Iterable[Any]) -> str:
    """Which of the allowed names a mistyped one may mean."""
    names = [name for name in allowed if isinstance(name, str)]
    near = get_close_matches(value, names, n=1, cutoff=0.7) if isinstance(value, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def listed(names: Iterable[Any]) -> str:
    """Names for a text."""
    return ", ".join(map(str, names))
