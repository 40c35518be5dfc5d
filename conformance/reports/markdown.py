"""The Markdown page of a run."""

from focal_ref.conformance.reports.record import Run
from focal_ref.conformance.reports.table import rows


def markdown(run: Run) -> str:
    """A page with the verdict, the table and the failure texts."""
    described = ", ".join(f"{name} {value}" for name, value in run.description.items())
    lines = [
        f"# Conformance of {_escaped(run.description['target'])}",
        "",
        f"**{_escaped(run.reason)}** (exit code {int(run.exit_code)}). {_escaped(described)}.",
        "",
        "| requirement | format | outcome | error in ulp | |",
        "|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows(run)]
    failures = [result.text for result in run.results if result.text]
    if failures:
        lines += ["", "## Failures"]
        for text in failures:
            lines += ["", *("    " + line for line in text.splitlines())]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    for character in "&<>|":
        text = text.replace(character, {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|"}[character])
    return text
