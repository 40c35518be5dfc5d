"""The examples that users copy run, and print what they say."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
PUBLIC = (
    "focal_ref.losses",
    "focal_ref.softmax",
    "focal_ref.star",
    "focal_ref.relatives",
    "focal_ref.derivatives",
    "focal_ref.targets",
    "focal_ref.prior",
    "focal_ref.boosting",
    "focal_ref.integrations.torch",
    "focal_ref.integrations.torch_distributed",
    "focal_ref.integrations.torchvision",
    "focal_ref.integrations.optax",
    "focal_ref.scoring.run",
    "focal_ref.detection.anchors",
    "focal_ref.detection.boxes",
    "focal_ref.detection.codes",
    "focal_ref.detection.coding",
    "focal_ref.detection.inference",
    "focal_ref.detection.losses",
    "focal_ref.detection.matching",
    "focal_ref.detection.matching_options",
    "focal_ref.detection.normalizers",
    "focal_ref.detection.sampling",
    "focal_ref.detection.suppression",
    "focal_ref.detection.targets",
    "focal_ref.conformance.formats",
    "focal_ref.conformance.vectors",
)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_of_docstrings_print_what_they_say(name):
    outcome = doctest.testmod(import_module(name), raise_on_error=False)
    assert outcome.attempted > 0
    assert outcome.failed == 0


# torch warns of its own use of torch.jit while it loads its compiler.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("library", ["NumPy", "PyTorch", "JAX"])
def test_the_examples_of_the_readme_run(library):
    (block,) = re.findall(rf"^{library}:\n\n((?:    .*\n|\n)+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    code = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    assert "import focal_ref" in code
    exec(compile(code, f"README.md, {library}", "exec"), {})
