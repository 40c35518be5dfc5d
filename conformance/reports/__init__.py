"""What is written of a run: its record, and the pages made from it."""

import json
import os
from pathlib import Path

from focal_ref.conformance.reports.markdown import markdown
from focal_ref.conformance.reports.record import Run, record_lines


def write(run: Run, folder: Path) -> tuple[Path, Path]:
    """Write the record and the page; each file is the old one or the new one, never half."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in run.description["target"])
    record, page = folder / f"{stem}.jsonl", folder / f"{stem}.md"
    _replace(record, "".join(json.dumps(line, sort_keys=True) + "\n" for line in record_lines(run)))
    _replace(page, markdown(run))
    return record, page


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
