"""Runs the examples of a report and compares what they print with what the report says that they print.

    python docs/reports/scripts/blocks.py docs/reports/torchvision.md

An example is a block of Python that a block of text follows. The other blocks of Python are parts of a proposal.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

_EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n?^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples(report: Path) -> list[tuple[str, str]]:
    """Code and printed text of each example."""
    return _EXAMPLE.findall(report.read_text(encoding="utf-8"))


def proposals(report: Path) -> list[str]:
    """The blocks of Python that nothing printed follows."""
    text = report.read_text(encoding="utf-8")
    executed = {code for code, _ in examples(report)}
    return [code for code in _PYTHON.findall(text) if code not in executed]


def printed(code: str) -> str:
    """What a piece of code prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "<report>", "exec"), {"__name__": "__main__"})
    return output.getvalue()


def differences(report: Path) -> list[str]:
    """A description of each example that prints something else."""
    found = []
    for code, text in examples(report):
        got = printed(code)
        if got != text:
            found.append(f"{report.name}: an example prints\n{got}the report says\n{text}of\n{code}")
    return found


def main(arguments: list[str]) -> int:
    """Check the reports that are named; 1 if an example prints something else, 2 if there is none."""
    reports = [Path(argument) for argument in arguments]
    if not reports or not all(examples(report) for report in reports):
        print("usage: blocks.py REPORT.md ..., each with at least one example", file=sys.stderr)
        return 2
    found = [one for report in reports for one in differences(report)]
    for one in found:
        print(one)
    print(f"{sum(len(examples(report)) for report in reports)} examples, {len(found)} print something else")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
