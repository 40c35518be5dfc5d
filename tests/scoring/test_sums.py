"""Sums, means and counts, in total and by group, against plain computations."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
import zarr

import focal_ref
from focal_ref.scoring import score

CLASSES = 5


def entries(data):
    return {entry["value"]: (entry["rows"], entry["elements"], entry["loss"]["sum"]) for entry in data}


def test_binary_columns_are_summed_in_total_by_class_and_by_slice(tmp_path, write_files, binary_table, printed_formula):
    tables = [binary_table(seed) for seed in range(3)]
    report = score(write_files(*tables), tmp_path / "out", by_class=True, group_by="slice")
    rows = [row for table in tables for row in table.to_pylist()]
    losses = [printed_formula(row["logits"], row["targets"]) for row in rows]
    assert report.data["rows"] == {"read": 3000, "scored": 3000, "rejected": 0, "unreadable": 0}
    assert report.loss_sum == pytest.approx(math.fsum(losses), rel=1e-14)
    assert report.loss_mean == pytest.approx(math.fsum(losses) / 3000, rel=1e-14)
    for found, column in ((report.data["classes"], "targets"), (report.data["groups"]["slice"], "slice")):
        names = {"negative": 0, "positive": 1} if column == "targets" else {}
        for value, (count, elements, total) in entries(found).items():
            own = [loss for loss, row in zip(losses, rows, strict=True) if row[column] == names.get(value, value)]
            assert (count, elements) == (len(own), len(own))
            assert total == pytest.approx(math.fsum(own), rel=1e-13)
    assert set(entries(report.data["groups"]["slice"])) == {"day", "night", "dusk", None}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report.data


@pytest.mark.parametrize("fixed", [True, False])
def test_lists_with_labels_are_summed_by_class_and_ignored_rows_are_in_no_mean(
    tmp_path, write_files, fixed, printed_formula
):
    random = np.random.default_rng(4)
    logits = random.normal(0, 3, (400, CLASSES)).astype(np.float32)
    labels = random.integers(-2, CLASSES, 400)
    cameras = random.integers(0, 3, 400)
    kind = pa.list_(pa.float32(), CLASSES) if fixed else pa.list_(pa.float32())
    table = {"x": pa.array(logits.tolist(), kind), "y": labels, "camera": cameras}
    report = score(
        write_files(table), tmp_path / "out", logits="x", targets="y", loss="labels", by_class=True, group_by=["camera"]
    )
    losses = np.array(
        [
            [0.0 if label == -2 else printed_formula(logit, number == label) for number, logit in enumerate(row)]
            for row, label in zip(logits, labels, strict=True)
        ]
    )
    kept = labels != -2
    assert report.data["elements"] == kept.sum() * CLASSES
    assert report.loss_sum == pytest.approx(math.fsum(losses.reshape(-1)), rel=1e-13)
    for value, (count, elements, total) in entries(report.data["classes"]).items():
        assert (count, elements) == (kept.sum(), kept.sum())
        assert total == pytest.approx(math.fsum(losses[:, value]), rel=1e-13)
    for value, (count, elements, total) in entries(report.data["groups"]["camera"]).items():
        assert (count, elements) == ((cameras == value).sum(), ((cameras == value) & kept).sum() * CLASSES)
        assert total == pytest.approx(math.fsum(losses[cameras == value].reshape(-1)), rel=1e-13)


def test_a_softmax_is_summed_by_the_class_of_the_label(tmp_path, write_files):
    random = np.random.default_rng(5)
    logits = random.normal(0, 3, (300, CLASSES)).astype(np.float32)
    labels = random.integers(0, CLASSES, 300)
    labels[::7] = -2
    table = {"logits": pa.array(logits.tolist(), pa.list_(pa.float32())), "targets": labels}
    report = score(write_files(table), tmp_path / "out", loss="softmax", by_class=True, gamma=1.5)
    wide = logits.astype(np.float64)
    shares = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    chosen = shares[np.arange(300), np.maximum(labels, 0)]
    losses = np.where(labels >= 0, -((1 - chosen) ** 1.5) * np.log(chosen), 0.0)
    assert report.data["options"]["alpha"] is None
    assert report.data["elements"] == (labels >= 0).sum()
    assert report.loss_sum == pytest.approx(math.fsum(losses), rel=1e-12)
    for value, (count, elements, total) in entries(report.data["classes"]).items():
        assert (count, elements) == ((labels == value).sum(), (labels == value).sum())
        assert total == pytest.approx(math.fsum(losses[labels == value]), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_lists_of_soft_targets_and_signed_targets_are_those_of_the_public_function(tmp_path, write_files, dtype):
    random = np.random.default_rng(6)
    logits = random.normal(0, 3, (200, CLASSES)).astype(dtype)
    shares = random.random((200, CLASSES))
    table = {"logits": pa.array(list(logits)), "targets": pa.array(list(shares))}
    report = score(write_files(table), tmp_path / "out", alpha=0.4, gamma=1.0)
    expected = focal_ref.loss(logits.astype(np.float64), shares, alpha=0.4, gamma=1.0, reduction="sum")
    assert report.loss_sum == pytest.approx(float(expected), rel=1e-13)
    signs = np.sign(shares[:, 0] - 0.5).astype(np.int8)
    table = {"logits": logits[:, 0], "targets": signs}
    report = score(write_files(table, folder="signed"), tmp_path / "out-signed", encoding="signed", by_class=True)
    expected = focal_ref.loss(logits[:, 0].astype(np.float64), signs, encoding="signed", reduction="sum")
    assert report.loss_sum == pytest.approx(float(expected), rel=1e-13)
    assert entries(report.data["classes"])["negative"][0] == (signs == -1).sum()


def test_no_digit_depends_on_the_workers_the_groups_or_the_size_of_the_parts(tmp_path, write_files, binary_table):
    folder = write_files(*(binary_table(seed) for seed in range(4)))
    reports = [
        score(folder, tmp_path / f"out-{number}", **given)
        for number, given in enumerate(
            [
                {"workers": 1, "by_class": True, "group_by": "slice"},
                {"workers": 7, "by_class": True, "group_by": "slice"},
                {"workers": 2},
            ]
        )
    ]
    assert reports[0].data == reports[1].data
    assert reports[2].loss_sum == reports[0].loss_sum


@pytest.mark.parametrize("shards", [None, (300, CLASSES)])
def test_zarr_stores_give_the_sums_of_the_same_rows_in_parquet(tmp_path, write_files, shards):
    random = np.random.default_rng(7)
    logits = random.normal(0, 3, (1000, CLASSES)).astype(np.float32)
    labels, cameras = random.integers(-2, CLASSES, 1000), np.array(["a", "b"])[random.integers(0, 2, 1000)]
    logits[17, 2] = np.nan
    labels[500] = 9
    group = zarr.open_group(tmp_path / "store.zarr", mode="w")
    group.create_array("logits", data=logits, chunks=(100, CLASSES), shards=shards)
    group.create_array("targets", data=labels, chunks=(130,))
    group.create_array("camera", data=(cameras == "b"), chunks=(1000,))
    given = {"loss": "labels", "by_class": True, "group_by": "camera"}
    found = score(tmp_path / "store.zarr", tmp_path / "out", **given)
    table = {"logits": pa.array(list(logits)), "targets": labels, "camera": cameras == "b"}
    expected = score(write_files(table, row_group_size=300 if shards else 100), tmp_path / "out-parquet", **given)
    for name in ("rows", "elements", "loss", "classes", "groups", "rejected"):
        assert found.data[name] == expected.data[name]
    assert found.rows_rejected == 2
    places = [json.loads(line) for line in (tmp_path / "out" / "rejects" / "000000.jsonl").read_text().splitlines()]
    assert [(place["row"], place["chunk"]) for place in places] == (
        [(17, 0), (500, 1)] if shards else [(17, 0), (500, 5)]
    )


def test_zarr_stores_of_format_2_are_read_too(tmp_path, printed_formula):
    group = zarr.open_group(tmp_path / "store.zarr", mode="w", zarr_format=2)
    group.create_array("logits", data=np.linspace(-3, 3, 50), chunks=(20,))
    group.create_array("targets", data=np.ones(50, np.bool_), chunks=(20,))
    report = score(tmp_path / "store.zarr", tmp_path / "out")
    expected = math.fsum(printed_formula(logit, True) for logit in np.linspace(-3, 3, 50))
    assert report.loss_sum == pytest.approx(expected, rel=1e-14)


def test_infinite_logits_are_scored_as_their_limits_if_that_is_allowed(tmp_path, write_files):
    table = {"logits": [np.inf, -np.inf, 0.0, -np.inf], "targets": [True, False, True, True]}
    report = score(write_files(table), tmp_path / "out", allow_infinite=True, by_class=True)
    assert report.rows_rejected == 0
    assert report.loss_sum == math.inf
    assert entries(report.data["classes"])["negative"] == (1, 1, 0.0)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["loss"] == {"sum": "inf", "mean": "inf"}


def test_empty_files_have_no_mean(tmp_path, write_files, binary_table):
    report = score(write_files(binary_table(rows=0)), tmp_path / "out")
    assert (report.loss_sum, report.loss_mean, report.rows_scored) == (0.0, None, 0)
