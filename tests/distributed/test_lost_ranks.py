"""A rank that is lost is an error on all others within the timeout: neither a wait without end nor a wrong number."""

import signal
from pathlib import Path

from .processes import run_script

SCENARIOS = ("ddp-killed-4", "ddp-stopped-2", "dtensor-killed-2", "dtensor-stopped-2")
SECONDS = 4.0
"""Of the process group's timeout."""


def test_the_others_get_an_error_within_the_timeout(tmp_path):
    code, output = run_script(Path(__file__).parent / "lost.py", tmp_path, SECONDS, *SCENARIOS, limit=90)
    assert code == 0, output
    for scenario in SCENARIOS:
        folder, world = tmp_path / scenario, int(scenario[-1])
        codes = [int(code) for code in (folder / "codes.txt").read_text().split()]
        assert codes == [-signal.SIGKILL if rank == 1 else 3 for rank in range(world)], scenario
        for rank in range(world):
            lines = (folder / f"{rank}.txt").read_text().splitlines()
            # Two steps, of which each rank knows the same losses.
            assert lines[:2] == (folder / "0.txt").read_text().splitlines()[:2]
            if rank != 1:
                assert len(lines) == 3
                step, seconds, _ = lines[2].split(" ", 2)
                assert step == "error"
                assert float(seconds) < SECONDS + 2.0
