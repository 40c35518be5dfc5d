"""A killed run goes on where it was, counts nothing twice, and gives the digits of one that was not killed."""

import json
import subprocess

import pyarrow.parquet as pq
import pytest

from focal_ref.scoring import ScoringError, score

from .processes import finished, kill, parts, started, wait_for_parts

GIVEN = ("--part-rows=200", "--by-class", "--group-by=slice")


@pytest.fixture
def folder(write_files, binary_table):
    return write_files(*(binary_table(seed, rows=10_000) for seed in range(8)))


def test_a_run_that_is_killed_twice_gives_the_digits_of_one_that_is_not(tmp_path, folder):
    out = tmp_path / "out"
    before = {}
    for share in (1, 2):
        process = started(folder, f"--results={out}", "--workers=2", *GIVEN, stdout=subprocess.DEVNULL)
        wait_for_parts(out, share * 60, process)
        kill(process)
        done = parts(out)
        assert 60 * share <= len(done) < 400
        assert not (out / "report.json").exists()
        assert before.items() <= done.items(), "a finished part was scored again"
        before = done
    run = finished(folder, f"--results={out}", *GIVEN)
    assert run.returncode == 0, run.stderr
    assert before.items() <= parts(out).items(), "a finished part was scored again"
    assert len(parts(out)) == 400
    score(folder, tmp_path / "whole", part_rows=200, by_class=True, group_by="slice")
    assert (out / "report.json").read_bytes() == (tmp_path / "whole" / "report.json").read_bytes()
    assert list(out.rglob(".*")) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"fingerprint": "other"}'])
def test_a_part_that_is_damaged_is_scored_again(tmp_path, folder, content):
    first = score(folder, tmp_path / "out", part_rows=5000)
    (tmp_path / "out" / "parts" / "000003.json").write_bytes(content)
    assert score(folder, tmp_path / "out", part_rows=5000).data == first.data


def test_a_part_whose_rejected_rows_are_gone_is_scored_again(tmp_path, write_files):
    folder = write_files({"logits": [0.0, float("nan")], "targets": [1, 0]})
    score(folder, tmp_path / "out")
    (file,) = (tmp_path / "out" / "rejects").iterdir()
    before = file.read_bytes()
    file.unlink()
    score(folder, tmp_path / "out")
    assert file.read_bytes() == before


def test_a_finished_run_reads_nothing_again(tmp_path, folder, monkeypatch):
    first = score(folder, tmp_path / "out")
    monkeypatch.setattr("focal_ref.scoring.run.score_part", lambda *arguments: 1 / 0)
    seen = []
    assert score(folder, tmp_path / "out", progress=lambda *rows: seen.append(rows)).data == first.data
    assert seen[-1] == (80_000, 80_000)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"gamma": 1.5}, r"was begun with gamma=2\.0, now it is 1\.5; name a new directory"),
        ({"alpha": None}, r"was begun with alpha=0\.25, now it is None"),
        ({"precision": "fast"}, r"was begun with precision='exact', now it is 'fast'"),
        ({"by_class": True}, r"was begun with by_class=False, now it is True"),
        ({"part_rows": 7}, r"was begun with part_rows=None, now it is 7"),
    ],
)
def test_other_options_are_refused(tmp_path, folder, given, text):
    score(folder, tmp_path / "out")
    with pytest.raises(ScoringError, match=text):
        score(folder, tmp_path / "out", **given)


def test_other_input_is_refused(tmp_path, folder, binary_table):
    score(folder, tmp_path / "out")
    files = sorted(folder.iterdir())
    with pytest.raises(ScoringError, match=r"was begun with 8 files or stores, now there are 7"):
        score(files[:-1], tmp_path / "out")
    with pytest.raises(ScoringError, match=r"was begun with .*000\.parquet .*, now it is .*001\.parquet"):
        score([files[1], files[0], *files[2:]], tmp_path / "out")
    pq.write_table(binary_table(99, rows=10_000), files[2])
    with pytest.raises(ScoringError, match=r"was begun with .*002\.parquet \(\d+ bytes, changed .*now it is .*002"):
        score(folder, tmp_path / "out")


def test_other_versions_are_refused(tmp_path, folder, monkeypatch):
    score(folder, tmp_path / "out")
    monkeypatch.setattr("focal_ref.scoring.run.__version__", "99")
    with pytest.raises(ScoringError, match=r"was begun with focal-ref='.*', now it is '99'"):
        score(folder, tmp_path / "out")


def test_a_directory_with_other_files_is_refused(tmp_path, folder):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(ScoringError, match=r"results: .*out holds other files; name a new or an empty directory"):
        score(folder, tmp_path / "out")


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_no_file_is_ever_half_written(tmp_path, folder, monkeypatch, step):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(OSError, match="No space left"):
        score(folder, tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_results_hold_what_was_asked(tmp_path, folder):
    score(folder, tmp_path / "out", group_by="slice")
    asked = json.loads((tmp_path / "out" / "run.json").read_text())
    assert asked["options"]["group_by"] == ["slice"]
    assert [entry["rows"] for entry in asked["inputs"]] == [10_000] * 8
    assert asked["versions"].keys() == {"focal-ref", "numpy", "numba", "pyarrow"}
