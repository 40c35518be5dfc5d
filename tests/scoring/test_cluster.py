"""A dask.distributed cluster gives the digits of one machine, also when a worker is killed in the middle."""

import json
import subprocess
import sys
import time

import pytest

from focal_ref.scoring import ScoringError, score

from .processes import PATIENCE, finished, kill, parts, started, wait_for_parts


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, each a process; the file with the address, and the workers."""
    file, log = tmp_path / "scheduler.json", (tmp_path / "cluster.log").open("w")
    further = {"stdout": log, "stderr": log, "cwd": tmp_path}

    def dask(name, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{name}", f"--scheduler-file={file}", "--no-dashboard"]
        return subprocess.Popen([*command, *arguments], **further)

    processes = [dask("scheduler", "--host=127.0.0.1", "--port=0")]
    worker = ("--nthreads=1", "--no-nanny", "--memory-limit=0")
    processes += [dask("worker", *worker, f"--name={number}") for number in range(2)]
    end = time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.01)
    yield file, processes[1:]
    for process in processes:
        if process.poll() is None:
            kill(process)
    log.close()


def address(file):
    return json.loads(file.read_text())["address"]


def test_a_cluster_gives_the_digits_of_one_machine_though_a_worker_is_killed(
    tmp_path, write_files, binary_table, cluster
):
    file, workers = cluster
    folder = write_files(*(binary_table(seed, rows=20_000) for seed in range(10)))
    given = ("--part-rows=400", "--by-class", "--group-by=slice")
    out = tmp_path / "out"
    process = started(folder, f"--results={out}", f"--scheduler={address(file)}", *given, stdout=subprocess.DEVNULL)
    wait_for_parts(out, 50, process)
    kill(workers[0])
    done = len(parts(out))
    assert 50 <= done < 500
    assert process.wait(PATIENCE) == 0
    assert len(parts(out)) == 500
    score(folder, tmp_path / "here", part_rows=400, by_class=True, group_by="slice")
    assert (out / "report.json").read_bytes() == (tmp_path / "here" / "report.json").read_bytes()


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, write_files, binary_table, monkeypatch):
    monkeypatch.setattr("focal_ref.scoring.run.TIMEOUT", 1)
    with pytest.raises(ScoringError, match=r"scheduler: no scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        score(write_files(binary_table()), tmp_path / "out", scheduler="tcp://127.0.0.1:9")


def test_workers_of_ones_own_and_a_scheduler_exclude_each_other(tmp_path, write_files, binary_table):
    run = finished(write_files(binary_table()), f"--results={tmp_path / 'out'}", "--workers=2", "--scheduler=tcp://a:1")
    assert run.returncode == 4
    assert "workers: got 2 with scheduler='tcp://a:1', whose workers are what there is" in run.stderr
