"""One part of a run: read, checked, scored, rejected rows written aside, sums written last."""

import json
from typing import Any, BinaryIO

import numpy as np

from focal_ref.scoring.batches import Batch, reason
from focal_ref.scoring.errors import Unreadable
from focal_ref.scoring.options import Options
from focal_ref.scoring.results import Replacement, Results, json_numbers, write
from focal_ref.scoring.sources import PARQUET, Part, Unit, batches, check_unchanged
from focal_ref.scoring.sums import Scorer, Sums


def score_part(part: Part, options: Options, directory: str, fingerprint: str) -> None:
    """Score a part and write what came of it into the results directory; done twice, it writes the same again.

    Raises
    ------
    ScoringError
        If the source has changed since the run began.
    """
    results = Results(directory)
    if part.source.kind == PARQUET:
        # Of a store this would look at every file of it, so that the run does it at its end.
        check_unchanged(part.source)
    scorer, sums = Scorer(options), Sums()
    unreadable = []
    if part.source.error is not None:
        unreadable.append(_entry(part, None, part.source.error))
    with Replacement(results.rejects(part.index)) as rejects:
        for unit in part.units:
            start = rejects.file.tell()
            try:
                sums.add(_scored(part, unit, scorer, rejects.file))
            except Unreadable as error:
                # Nothing of a piece counts that cannot be read to its end.
                rejects.file.seek(start)
                rejects.file.truncate()
                unreadable.append(_entry(part, unit, str(error)))
        size = rejects.file.tell()
    if size == 0:
        results.rejects(part.index).unlink()
    data = {"fingerprint": fingerprint, "path": part.source.path, **sums.as_data()}
    write(results.part(part.index), {**data, "unreadable": unreadable, "rejects_bytes": size})


def _entry(part: Part, unit: Unit | None, error: str) -> dict[str, Any]:
    """What could not be read: a whole source, or a unit of it."""
    number, rows = (None, None) if unit is None else (unit.number, unit.rows)
    return {"path": part.source.path, "unit": number, "rows": rows, "error": error}


def _scored(part: Part, unit: Unit, scorer: Scorer, rejects: BinaryIO) -> Sums:
    sums = Sums()
    for batch in batches(part.source, unit, scorer.options):
        batch.check_values(scorer.options)
        if batch.problems.any():
            _reject(part, unit, batch, scorer.options, sums, rejects)
        scorer.add(batch.good(), sums)
    return sums


def _reject(part: Part, unit: Unit, batch: Batch, options: Options, sums: Sums, rejects: BinaryIO) -> None:
    """Write the bad rows of a batch, each with its place and its reason, and count them."""
    name = "row_group" if part.source.kind == PARQUET else "chunk"
    for index in np.flatnonzero(batch.problems):
        text = reason(int(batch.problems[index]), options)
        sums.rejected[text] = sums.rejected.get(text, 0) + 1
        row = batch.first + int(index)
        place = {"path": part.source.path, name: unit.number, "row": row, "row_in_" + name: row - unit.first}
        entry = {**place, "reason": text, "values": batch.row(int(index))}
        rejects.write(json.dumps(json_numbers(entry), ensure_ascii=False).encode() + b"\n")
