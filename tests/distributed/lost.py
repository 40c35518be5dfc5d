"""Processes of which one is lost in the middle of training."""

import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from pictures import SHARES, Detector, loss_of
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

import focal_ref
from focal_ref.integrations.torch_distributed import SumOverRanks

LOST, STEPS = 1, 3


def losses(kind, world, rank, group):
    """One loss a step, without end."""
    if kind == "ddp":
        model = DistributedDataParallel(Detector(torch.float32), process_group=group)
        ranks = SumOverRanks(group)
        while True:
            loss = loss_of(model, SHARES[world][rank], torch.float32, normalizer="batch", sum_over_ranks=ranks)
            loss.total.backward()
            yield float(ranks.loss_of_all(loss.total))
    mesh = DeviceMesh.from_group(group, "cpu")
    logits = distribute_tensor(torch.ones(5, 3), mesh, [Shard(0)])
    while True:
        yield float(focal_ref.loss(logits, torch.ones(5, 3), reduction="sum").full_tensor())


def one(rank, world, kind, way, folder, seconds):
    """Write each loss and what ended the training."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    # Kernels are loaded while nobody counts seconds.
    next(losses(kind, world, rank, dist.group.WORLD))
    dist.barrier()
    group = dist.new_group(timeout=timedelta(seconds=seconds))
    with open(f"{folder}/{rank}.txt", "w") as lines:
        try:
            for step, loss in enumerate(losses(kind, world, rank, group), start=1):
                print(step, loss, file=lines, flush=True)
                if step == STEPS - 1:
                    # The group that waits for long.
                    dist.barrier()
                    start = time.monotonic()
                    if rank == LOST and way == "killed":
                        os.kill(os.getpid(), signal.SIGKILL)
                    elif rank == LOST:
                        time.sleep(600)
        except RuntimeError as error:
            print("error", time.monotonic() - start, str(error).splitlines()[0], file=lines, flush=True)
            os._exit(3)


def main(folder, seconds, *scenarios):
    """All scenarios KIND-WAY-WORLD at once: wait for all processes but those that are lost, and end these."""
    context = torch.multiprocessing.get_context("fork")
    started = {}
    for scenario in scenarios:
        kind, way, world = scenario.split("-")
        Path(folder, scenario).mkdir()
        arguments = (int(world), kind, way, f"{folder}/{scenario}", float(seconds))
        started[scenario] = [context.Process(target=one, args=(rank, *arguments)) for rank in range(int(world))]
        for process in started[scenario]:
            process.start()
    for scenario, processes in started.items():
        for rank, process in enumerate(processes):
            if rank != LOST:
                process.join()
        processes[LOST].kill()
        processes[LOST].join()
        codes = [str(process.exitcode) for process in processes]
        Path(folder, scenario, "codes.txt").write_text(" ".join(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
