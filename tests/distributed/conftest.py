"""Each number of processes is started once for all tests, whichever worker asks first."""

import pytest
import torch
from filelock import FileLock

from .processes import run

FUNCTIONS = {
    1: ["data_parallel.training_steps", "sharded.losses", "sharded.detection"],
    2: [
        "data_parallel.training_steps",
        "data_parallel.logits_gradients",
        "data_parallel.plain_losses",
        "data_parallel.table",
        "data_parallel.compiled",
        "sharded.losses",
        "sharded.relatives",
        "sharded.detection",
        "sharded.compiled",
        "sharded.refusals",
    ],
    3: ["data_parallel.training_steps", "data_parallel.plain_losses"],
    4: [
        "data_parallel.training_steps",
        "data_parallel.logits_gradients",
        "data_parallel.groups",
        "data_parallel.table",
        "sharded.losses",
        "sharded.detection",
        "sharded.two_dimensions",
    ],
}
"""What each number of processes does."""


@pytest.fixture(scope="session")
def ranks(tmp_path_factory, request):
    """A function from a number of processes and a name to what each of them returned."""
    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        shared = shared.parent
    loaded = {}

    def found(world, name):
        if world not in loaded:
            folder = shared / f"{world}-processes"
            with FileLock(f"{folder}.lock"):
                if not (folder / "done").exists():
                    folder.mkdir(exist_ok=True)
                    code, output = run(world, folder, *FUNCTIONS[world])
                    (folder / "done").write_text("" if code == 0 else output)
            assert not (words := (folder / "done").read_text()), words
            loaded[world] = [torch.load(folder / f"{rank}.pt") for rank in range(world)]
        return [rank[name] for rank in loaded[world]]

    return found
