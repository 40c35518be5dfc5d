"""Text of a program under test, made safe to show: what it wrote is never trusted."""

import re

ESCAPED = re.compile(
    # Control characters, what turns the direction of text, invisible characters, line separators, lone surrogates.
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def safe_text(text: str, limit: int = 200) -> str:
    r"""One line without anything that acts on a terminal; HTML and Markdown are escaped where pages are made.

    Parameters
    ----------
    text
        Anything.
    limit
        Characters to keep; what is left out is counted.

    Examples
    --------
    >>> safe_text("\x1b[31mred\x1b[0m\nnext")
    '\\x1b[31mred\\x1b[0m\\nnext'
    """
    shown = ESCAPED.sub(_escape, text[:limit])
    return shown if len(text) <= limit else f"{shown}... ({len(text) - limit} more characters)"


def _escape(match: re.Match[str]) -> str:
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    code = ord(match[0])
    return short.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
