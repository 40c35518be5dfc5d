"""Training steps as people run them: several processes, compiled, exported, from forked loaders, with few threads."""

import os
import subprocess
import sys

import pytest
import torch

import focal_ref
from focal_ref.adapters import _torch_compute as compute

TWO_PROCESSES = """
import os, sys
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
from torch.nn.parallel import DistributedDataParallel
import focal_ref

FEATURES, CLASSES, BATCH = 6, 4, 8

def made():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2 * BATCH, FEATURES, generator=generator)
    labels = torch.randint(-2, CLASSES, (2 * BATCH,), generator=generator)
    torch.manual_seed(0)
    return features, labels, torch.nn.Linear(FEATURES, CLASSES)

def loss(logits, labels):
    return focal_ref.loss_from_labels(logits, labels, reduction="sum", normalizer=float(BATCH))

def work(rank, file, compiled):
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    features, labels, head = made()
    model = DistributedDataParallel(head)
    part = slice(rank * BATCH, (rank + 1) * BATCH)
    step = torch.compile(loss, backend="aot_eager", fullgraph=True) if compiled else loss
    step(model(features[part]), labels[part]).backward()
    features, labels, alone = made()
    # The gradients of the processes are averaged.
    (loss(alone(features), labels) / 2).backward()
    for name, parameter in head.named_parameters():
        torch.testing.assert_close(parameter.grad, dict(alone.named_parameters())[name].grad)
    distributed.destroy_process_group()

if __name__ == "__main__":
    multiprocessing.spawn(work, (sys.argv[1], sys.argv[2] == "compiled"), nprocs=2)
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this build of torch has no torch.distributed")
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_two_processes_get_the_gradients_of_one(tmp_path, mode):
    program = tmp_path / "two_processes.py"
    program.write_text(TWO_PROCESSES)
    finished = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "rendezvous"), mode],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def some_call():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2000, 80, generator=generator)
    return logits, torch.randint(-2, 80, (2000,), generator=generator)


def test_forward_saves_the_logits_and_the_labels_and_nothing_else():
    logits, labels = some_call()
    logits.requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        focal_ref.loss_from_labels(logits, labels, reduction="sum")
    assert {tensor.data_ptr() for tensor in saved} == {logits.data_ptr(), labels.data_ptr()}


def test_a_compiled_training_step_gives_the_bits_of_the_eager_one():
    logits, labels = some_call()

    def step(logits, labels):
        return focal_ref.loss_from_labels(logits * 1.0, labels, reduction="sum", normalizer=7.0)

    gradients = []
    for function in (step, torch.compile(step, backend="aot_eager", fullgraph=True)):
        leaf = logits.clone().requires_grad_()
        function(leaf, labels).backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


class Step(torch.nn.Module):
    def forward(self, logits, labels):
        return focal_ref.loss_from_labels(logits, labels, reduction="mean")


def test_an_exported_loss_of_large_labels_gives_the_bits_of_the_eager_one():
    call = some_call()
    exported = torch.export.export(Step(), call)
    assert torch.equal(exported.module()(*call), Step()(*call))


LOADER = """
import torch
import focal_ref

class Losses(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        logits = torch.linspace(-9.0, 9.0, 1 << 20).reshape(-1, 64) + index
        labels = torch.arange(len(logits)) % 66 - 2
        return focal_ref.loss_from_labels(logits, labels, reduction="sum")

here = [Losses()[index] for index in range(4)]
loader = torch.utils.data.DataLoader(Losses(), batch_size=1, num_workers=2, multiprocessing_context="fork", timeout=60)
assert torch.equal(torch.cat(list(loader)), torch.stack(here))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_loader_computes_losses_although_its_parent_had_threads():
    command = [sys.executable, "-c", LOADER]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr


def test_kernels_use_as_many_threads_as_torch_is_allowed(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert compute._host(*some_call(), focal_ref._parameters.Parameters())[2].threads == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(compute, "get_num_threads", lambda: 3)
    assert compute._host(*some_call(), focal_ref._parameters.Parameters())[2].threads == 3
