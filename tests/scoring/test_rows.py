"""Rows that cannot be scored are counted, located and written aside; what cannot be read is named and not counted."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from focal_ref.scoring import ScoringError, score


def rejects(folder):
    lines = [line for file in sorted((folder / "rejects").iterdir()) for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_every_bad_row_of_numbers_is_located_with_its_reason_and_the_others_are_scored(
    tmp_path, write_files, printed_formula
):
    logits = pa.array([0.5, None, math.nan, 1.0, math.inf, -2.0, 3.0, 1.0] + [0.0] * 192, pa.float32())
    targets = pa.array([0.0, 1.0, 1.0, None, 0.0, 1.5, math.nan, 0.25] + [1.0] * 192)
    folder = write_files({"logits": logits, "targets": targets}, {"logits": logits, "targets": targets})
    report = score(folder, tmp_path / "out")
    assert report.data["rows"] == {"read": 400, "scored": 388, "rejected": 12, "unreadable": 0}
    assert report.data["rejected"] == {
        "a logit is NaN": 2,
        "a logit is infinite": 2,
        "a target is not in [0, 1]": 4,
        "logits are null": 2,
        "targets are null": 2,
    }
    found = rejects(tmp_path / "out")
    assert [(entry["row"], entry["reason"]) for entry in found[6:]] == [
        (1, "logits are null"),
        (2, "a logit is NaN"),
        (3, "targets are null"),
        (4, "a logit is infinite"),
        (5, "a target is not in [0, 1]"),
        (6, "a target is not in [0, 1]"),
    ]
    assert found[6] == {
        "path": str(folder / "001.parquet"),
        "row_group": 0,
        "row": 1,
        "row_in_row_group": 1,
        "reason": "logits are null",
        "values": {"logits": None, "targets": 1.0},
    }
    assert found[7]["values"] == {"logits": "NaN", "targets": 1.0}


def test_every_bad_row_of_lists_is_located_with_its_reason(tmp_path, write_files):
    lists = [[1.0, 2.0], [1.0], None, [1.0, None], [1.0, math.nan], [-math.inf, 0.0], [1.0, 2.0], [], [0.0, 1.0]]
    labels = [0, 1, 1, 1, 0, 1, 2, 0, None]
    table = {"logits": pa.array(lists, pa.list_(pa.float32())), "targets": pa.array(labels, pa.int32())}
    report = score(write_files(table), tmp_path / "out", loss="labels", classes=2)
    assert (report.rows_scored, report.rows_rejected) == (1, 8)
    assert [(entry["row"], entry["reason"]) for entry in rejects(tmp_path / "out")] == [
        (1, "the list of logits does not have 2 elements"),
        (2, "logits are null"),
        (3, "the list of logits holds null"),
        (4, "a logit is NaN"),
        (5, "a logit is infinite"),
        (6, "the label is not a class 0..1, BACKGROUND = -1 or IGNORE = -2"),
        (7, "the list of logits does not have 2 elements"),
        (8, "targets are null"),
    ]


def test_lists_of_targets_that_are_too_long_or_hold_null_are_rejected(tmp_path, write_files):
    logits = pa.array([[1.0, 2.0]] * 4, pa.list_(pa.float32(), 2))
    targets = pa.array([[1, 0], [1, 0, 0], [1, None], None], pa.list_(pa.int8()))
    report = score(write_files({"logits": logits, "targets": targets}), tmp_path / "out")
    assert (report.rows_scored, report.rows_rejected) == (1, 3)
    assert report.data["rejected"] == {
        "targets are null": 1,
        "the list of targets does not have 2 elements": 1,
        "the list of targets holds null": 1,
    }


def test_background_is_no_label_of_a_softmax(tmp_path, write_files):
    table = {"logits": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float64())), "targets": [0, -1, -2]}
    report = score(write_files(table), tmp_path / "out", loss="softmax")
    assert report.data["rejected"] == {"the label is not a class 0..1, IGNORE = -2": 1}
    assert (report.rows_scored, report.data["elements"]) == (2, 1)


def test_the_scored_rows_are_those_of_a_file_without_the_bad_ones(tmp_path, write_files, binary_table):
    table = binary_table()
    logits = np.array(table["logits"]).copy()
    logits[::9] = np.nan
    dirty = table.set_column(0, "logits", pa.array(logits))
    given = {"group_by": "slice", "by_class": True}
    found = score(write_files(dirty, row_group_size=1000), tmp_path / "out", **given)
    clean = write_files(dirty.filter(pa.array(~np.isnan(logits))), folder="clean", row_group_size=1000)
    expected = score(clean, tmp_path / "out-clean", **given)
    for name in ("elements", "loss", "classes", "groups"):
        assert found.data[name] == expected.data[name]
    assert found.rows_rejected == len(logits[::9])


def damaged(path, row):
    """Change a byte of the logit of a row in a file without compression."""
    content = bytearray(path.read_bytes())
    number = np.array(pq.read_table(path, columns=["logits"])["logits"])[row].tobytes()
    assert content.count(number) == 1
    content[content.index(number)] ^= 0xFF
    path.write_bytes(content)


PLAIN = {"compression": "none", "use_dictionary": False, "write_statistics": False}


@pytest.mark.parametrize("row", [0, 50, 99])
def test_a_damaged_row_group_is_named_and_nothing_of_it_is_counted(
    tmp_path, write_files, binary_table, monkeypatch, row
):
    # Several batches a row group, and pages of 16 rows: rows before the damage are read, and not counted either.
    monkeypatch.setattr("focal_ref.scoring.options.BATCH_ELEMENTS", 20)
    pages = {"data_page_size": 16, "write_batch_size": 16, **PLAIN}
    tables = [binary_table(seed) for seed in range(2)]
    logits = np.array(tables[1]["logits"]).copy()
    logits[[5, 305, 905]] = np.nan
    tables[1] = tables[1].set_column(0, "logits", pa.array(logits))
    folder = write_files(*tables, **pages)
    damaged(folder / "001.parquet", 300 + row)
    damaged(folder / "001.parquet", 900 + row)
    report = score(folder, tmp_path / "out", group_by="slice")
    assert report.data["rows"] == {"read": 1800, "scored": 1799, "rejected": 1, "unreadable": 200}
    places = [(entry["path"], entry["unit"], entry["rows"]) for entry in report.unreadable]
    assert places == [(str(folder / "001.parquet"), 3, 100), (str(folder / "001.parquet"), 9, 100)]
    assert all("CRC checksum" in entry["error"] for entry in report.unreadable)
    assert [entry["row"] for entry in rejects(tmp_path / "out")] == [5]
    rest = tables[1].slice(0, 300), tables[1].slice(400, 500)
    expected = score(write_files(tables[0], *rest, folder="rest", **pages), tmp_path / "out-rest", group_by="slice")
    assert report.loss_sum == pytest.approx(expected.loss_sum, rel=1e-15)
    counts = [
        [(group["value"], group["rows"]) for group in each.data["groups"]["slice"]] for each in (report, expected)
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-100], lambda content: b"", lambda content: b"PAR1" + content[4:-4] + b"XXXX"],
    ids=["truncated", "empty", "no footer"],
)
def test_a_file_that_is_no_parquet_is_named_and_the_others_are_scored(tmp_path, write_files, binary_table, damage):
    folder = write_files(*(binary_table(seed) for seed in range(3)))
    path = folder / "001.parquet"
    path.write_bytes(damage(path.read_bytes()))
    report = score(folder, tmp_path / "out")
    assert report.data["rows"] == {"read": 2000, "scored": 2000, "rejected": 0, "unreadable": 0}
    assert [(entry["path"], entry["unit"], entry["rows"]) for entry in report.unreadable] == [(str(path), None, None)]


def test_what_cannot_be_read_is_tried_again_by_the_next_run(tmp_path, write_files, binary_table):
    folder = write_files(binary_table(0), binary_table(1), **PLAIN)
    damaged(folder / "001.parquet", 333)
    first = score(folder, tmp_path / "out")
    finished = (tmp_path / "out" / "parts" / "000000.json").stat().st_mtime_ns
    tried = (tmp_path / "out" / "parts" / "000001.json").stat().st_mtime_ns
    assert score(folder, tmp_path / "out").data == first.data
    assert (tmp_path / "out" / "parts" / "000000.json").stat().st_mtime_ns == finished
    assert (tmp_path / "out" / "parts" / "000001.json").stat().st_mtime_ns > tried


def test_a_damaged_chunk_of_a_zarr_store_is_named_and_not_counted(tmp_path):
    group = zarr.open_group(tmp_path / "store.zarr", mode="w")
    group.create_array("logits", data=np.arange(100.0), chunks=(20,))
    group.create_array("targets", data=np.ones(100, np.int8), chunks=(20,))
    chunk = tmp_path / "store.zarr" / "logits" / "c" / "2"
    chunk.write_bytes(chunk.read_bytes()[:-7])
    report = score(tmp_path / "store.zarr", tmp_path / "out")
    assert report.data["rows"] == {"read": 80, "scored": 80, "rejected": 0, "unreadable": 20}
    assert [(entry["unit"], entry["rows"]) for entry in report.unreadable] == [(2, 20)]


def test_input_that_changes_while_it_is_scored_stops_the_run(tmp_path, write_files, binary_table):
    folder = write_files(binary_table(0), binary_table(1))

    def change(done, total):
        pq.write_table(binary_table(2, rows=999), folder / "001.parquet")

    with pytest.raises(ScoringError, match=r"001\.parquet changed while it was scored: .* new results directory"):
        score(folder, tmp_path / "out", workers=1, progress=change)
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_store_that_changes_while_it_is_scored_stops_the_run_too(tmp_path):
    group = zarr.open_group(tmp_path / "store.zarr", mode="w")
    logits = group.create_array("logits", data=np.arange(100.0), chunks=(20,))
    group.create_array("targets", data=np.ones(100, np.int8), chunks=(20,))

    def change(done, total):
        logits[3] = 7.0

    with pytest.raises(ScoringError, match=r"store\.zarr changed while it was scored: .* new results directory"):
        score(tmp_path / "store.zarr", tmp_path / "out", workers=1, part_rows=20, progress=change)
    assert not (tmp_path / "out" / "report.json").exists()
