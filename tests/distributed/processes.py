"""Several processes of torch.distributed on this machine, over gloo and without a network.

As a program, `python processes.py WORLD FOLDER MODULE.FUNCTION...` calls functions of the modules beside it in WORLD
processes, each of which leaves what they return in FOLDER. They are forked after the imports, which take longer than
all the rest.
"""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from importlib import import_module

import torch
import torch.distributed as dist

TIMEOUT = "TEST_TIMEOUT_SECONDS"
VARIABLES = {"OMP_NUM_THREADS": "1", "FOCAL_REF_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def run(world, folder, *names, limit=120, timeout=60.0):
    """Exit code and words of all processes, whose collectives wait for `timeout` seconds."""
    return run_script(__file__, world, folder, *names, limit=limit, variables={TIMEOUT: str(timeout)})


def run_script(*command, limit, variables=None):
    """Exit code and words of a Python program and of all that it starts; none of them stays behind."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, **VARIABLES, **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode, output


def one(rank, world, folder, names):
    """What one process does."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=float(os.environ[TIMEOUT])),
    )
    found = {}
    for name in names:
        module, function = name.split(".")
        found[name] = getattr(import_module(module), function)()
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def main(world, folder, *names):
    """Fork the processes and wait for all; the first that fails ends the others."""
    for name in names:
        import_module(name.split(".")[0])
    torch.multiprocessing.start_processes(one, (int(world), folder, names), nprocs=int(world), start_method="fork")


if __name__ == "__main__":
    main(*sys.argv[1:])
