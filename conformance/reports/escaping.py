"""Texts of other people's programs, which may hold anything, made safe to show."""

import re
import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that no page should receive: controls, marks of direction, halves of surrogate pairs, ..."""

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#!$])")


def safe_text(text: str, *, lines: bool = False) -> str:
    r"""The text with everything that controls a terminal, an XML parser or the direction of writing made visible.

    Parameters
    ----------
    text
        Any text.
    lines
        Whether ends of lines are kept; otherwise they are shown as well.

    Examples
    --------
    >>> print(safe_text("\x1b[31mred"))
    \x1b[31mred
    """
    return "".join(
        character
        if (lines and character == "\n") or unicodedata.category(character) not in _UNSEEN
        else _shown(character)
        for character in text
    )


def markdown_text(text: str) -> str:
    """A line of Markdown that shows the text as it is, in a cell of a table too."""
    escaped = safe_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", escaped)


def _shown(character: str) -> str:
    if character == "\n":
        return r"\n"
    if character == "\t":
        return " "
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
