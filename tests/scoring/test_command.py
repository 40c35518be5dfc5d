"""The command: tables, JSON, exit codes, and what is said of input that does not fit."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
import zarr
from click.testing import CliRunner

from focal_ref.conformance.cli.score import command
from focal_ref.scoring import Options, ScoringError, score


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)


def code(result):
    if result.exception is not None:
        raise result.exception
    return result.return_value


def test_a_table_and_json_say_the_same(tmp_path, write_files, binary_table):
    folder = write_files(binary_table())
    result = run(folder, f"--results={tmp_path / 'out'}", "--group-by=slice", "--by-class")
    assert code(result) == 0
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    text = " ".join(result.output.split())
    assert "rows read 1,000 rows scored 1,000 rows rejected 0 losses 1,000" in text
    assert f"sum of losses {data['loss']['sum']:.8g}" in text
    for entry in (*data["classes"], *data["groups"]["slice"]):
        name = "null" if entry["value"] is None else entry["value"]
        assert f"{name} {entry['rows']:,} {entry['elements']:,} {entry['loss']['sum']:.8g}" in text
    again = run(folder, f"--results={tmp_path / 'out'}", "--group-by=slice", "--by-class", "--format=json")
    assert json.loads(again.output) == data


def test_many_groups_are_shown_by_their_sums_and_all_are_in_the_report(tmp_path, write_files):
    table = {"logits": np.linspace(-5, 5, 100), "targets": np.zeros(100, np.int8), "g": np.arange(100)}
    result = run(write_files(table), f"--results={tmp_path / 'out'}", "--group-by=g")
    assert "... and 80 more in report.json" in result.output
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["groups"]["g"]) == 100


def test_the_exit_code_says_that_rows_are_missing_unless_that_is_accepted(tmp_path, write_files):
    folder = write_files({"logits": [0.0, math.nan], "targets": [1, 1]}, {"logits": [0.0], "targets": [1]})
    out = f"--results={tmp_path / 'out'}"
    result = run(folder, out)
    assert code(result) == 1
    assert "rejected: 1 rows: a logit is NaN" in result.output
    assert f"rejected rows are in {tmp_path / 'out' / 'rejects'}" in result.output
    assert code(run(folder, out, "--accept-rejected")) == 0
    (folder / "001.parquet").write_bytes(b"PAR1")
    out = f"--results={tmp_path / 'out-2'}"
    result = run(folder, out, "--accept-rejected")
    assert code(result) == 1
    assert f"unreadable: {folder / '001.parquet'}: " in result.output
    assert code(run(folder, out, "--accept-rejected", "--accept-unreadable")) == 0
    assert code(run(folder, out, "--accept-unreadable")) == 1


def test_hyper_parameters_are_those_of_the_loss(tmp_path, write_files):
    table = {"logits": pa.array([[1.0, 2.0]], pa.list_(pa.float64())), "targets": [0]}
    folder = write_files(table)
    for number, (given, expected) in enumerate(
        [
            (("--labels",), {"loss": "labels", "alpha": 0.25, "gamma": 2.0}),
            (("--softmax",), {"loss": "softmax", "alpha": None, "gamma": 2.0}),
            (("--softmax", "--alpha=1,3", "--gamma=0"), {"alpha": [1.0, 3.0], "gamma": 0.0}),
            (("--labels", "--alpha=none", "--gamma=1,2"), {"alpha": None, "gamma": [1.0, 2.0]}),
            (("--labels", "--precision=fast"), {"precision": "fast"}),
        ]
    ):
        assert code(run(folder, f"--results={tmp_path / str(number)}", *given)) == 0
        options = json.loads((tmp_path / str(number) / "report.json").read_text())["options"]
        assert expected.items() <= options.items()


def test_the_progress_bar_goes_to_standard_error(tmp_path, write_files, binary_table):
    result = run(write_files(binary_table()), f"--results={tmp_path / 'out'}", "--progress", "--format=json")
    json.loads(result.stdout)
    assert "1000/1000" in result.stderr


LISTS = pa.array([[1.0, 2.0]], pa.list_(pa.float32()))


@pytest.mark.parametrize(
    ("table", "given", "text"),
    [
        ({"a": [1.0]}, {}, r"there is no column 'logits'; its columns are a"),
        ({"logits": [1], "targets": [1]}, {}, r"logits 'logits' are int64; allowed are float16, float32, float64"),
        ({"logits": ["a"], "targets": [1]}, {}, r"logits 'logits' are string; allowed are"),
        (
            {"logits": [1.0], "targets": ["a"]},
            {},
            r"targets 'targets' are string; allowed are bool, integers and floats",
        ),
        (
            {"logits": LISTS, "targets": [1]},
            {},
            r"targets 'targets' are int64 and logits 'logits' are lists; .*--labels",
        ),
        (
            {"logits": [1.0], "targets": LISTS},
            {},
            r"targets 'targets' are lists of float32 .* are one a row; there is one",
        ),
        (
            {"logits": [1.0], "targets": [1]},
            {"loss": "labels"},
            r"are float64, one a row; with labels, each row holds one",
        ),
        (
            {"logits": LISTS, "targets": [1.0]},
            {"loss": "labels"},
            r"labels 'targets' are float64; one integer a row: int8",
        ),
        ({"logits": [1.0], "targets": [True]}, {"encoding": "signed"}, r"are bool, which cannot hold -1"),
        (
            {"logits": [1.0], "targets": [1], "g": [1.5]},
            {"group_by": "g"},
            r"group_by 'g' is double; allowed are text, integers and booleans",
        ),
        ({"logits": [1.0], "targets": [1]}, {"classes": 3}, r"classes: got 3; logits 'logits' of .* are one a row"),
        (
            {"logits": pa.array([None], pa.list_(pa.float32())), "targets": [1]},
            {"loss": "labels"},
            r"no list of 'logits' says how many classes there are; pass classes",
        ),
        ({"logits": pa.array([[]], pa.list_(pa.float32())), "targets": [1]}, {"loss": "labels"}, r"have no elements"),
    ],
)
def test_columns_that_do_not_fit_are_named_with_what_they_are(tmp_path, write_files, table, given, text):
    with pytest.raises(ScoringError, match=text):
        score(write_files(table), tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_columns_of_other_files_have_to_be_of_the_same_kind(tmp_path, write_files):
    first = {"logits": [1.0], "targets": [1], "g": [1]}
    folder = write_files(first, {"logits": [1.0], "targets": [1], "g": ["a"]})
    with pytest.raises(ScoringError, match=r"001\.parquet: column 'g' holds text, in the files before it integers"):
        score(folder, tmp_path / "out", group_by="g")
    folder = write_files(first, {"logits": LISTS, "targets": LISTS}, folder="lists")
    with pytest.raises(ScoringError, match=r"column 'logits' holds lists, in the files before it numbers"):
        score(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"gamma": -1}, ValueError, r"gamma: got -1; it is finite and >= 0"),
        ({"alpha": 2.0}, ValueError, r"alpha: got 2\.0; it is in \[0, 1\]"),
        ({"loss": "hinge"}, ValueError, r"loss: got 'hinge'; allowed are 'binary', 'labels', 'softmax'"),
        ({"loss": "softmax", "encoding": "signed"}, ScoringError, r"encoding: got 'signed' with loss='softmax'"),
        ({"part_rows": 0}, ScoringError, r"part_rows: got 0; it is an integer >= 1"),
        ({"workers": 0}, ScoringError, r"workers: got 0; it is an integer >= 1"),
        ({"targets": "logits"}, ScoringError, r"columns: got 'logits' twice"),
        ({"beta": 1}, TypeError, r"beta: score has no such option; it has logits, targets"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_written(
    tmp_path, write_files, binary_table, given, error, text
):
    with pytest.raises(error, match=text):
        score(write_files(binary_table()), tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_input_that_is_not_there_or_named_twice_is_refused(tmp_path, write_files, binary_table):
    folder = write_files(binary_table())
    with pytest.raises(ScoringError, match=r"inputs: .*nothing does not exist"):
        score(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(ScoringError, match=r"000\.parquet is named twice .*; its rows would count twice"):
        score([folder, folder / "000.parquet"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScoringError, match=r"empty is a folder without \*\.parquet files, and no Zarr store"):
        score(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ScoringError, match=r"inputs: got none"):
        score([], tmp_path / "out")


def test_zarr_stores_that_do_not_fit_are_refused(tmp_path):
    group = zarr.open_group(tmp_path / "store.zarr", mode="w")
    group.create_array("logits", data=np.zeros((4, 3)))
    with pytest.raises(ScoringError, match=r"there is no array 'targets'; there are logits"):
        score(tmp_path / "store.zarr", tmp_path / "out")
    group.create_array("targets", data=np.zeros(5, np.int8))
    with pytest.raises(ScoringError, match=r"array 'targets' has 5 rows, and 'logits' 4"):
        score(tmp_path / "store.zarr", tmp_path / "out", loss="labels")
    zarr.create_array(tmp_path / "array.zarr", data=np.zeros(4))
    with pytest.raises(ScoringError, match=r"is one array; a store is a group with arrays logits, targets"):
        score(tmp_path / "array.zarr", tmp_path / "out")


def test_too_many_groups_are_refused(tmp_path, write_files, monkeypatch):
    monkeypatch.setattr("focal_ref.scoring.sums.MAXIMUM_GROUPS", 10)
    table = {"logits": np.zeros(50), "targets": np.ones(50, np.int8), "id": np.arange(50)}
    with pytest.raises(ScoringError, match=r"group_by: column 'id' has more than 10 values; group by a coarser one"):
        score(write_files(table), tmp_path / "out", group_by="id")


def test_errors_of_the_command_name_what_is_wrong(tmp_path, write_files, binary_table):
    folder, out = write_files(binary_table()), f"--results={tmp_path / 'out'}"
    for arguments, text in [
        ((folder, out, "--gamma=x"), "got 'x'; it is a number, or one for each class"),
        ((folder, out, "--gamma=-1"), "gamma: got -1.0; it is finite and >= 0"),
        ((folder, out, "--labels", "--softmax"), "--labels and --softmax: got both"),
        ((folder / "none", out), "does not exist"),
    ]:
        result = run(*arguments)
        assert text in result.exception.format_message()


def test_options_have_defaults_that_a_table_can_be_scored_with():
    assert Options().parameters().threads == 1
