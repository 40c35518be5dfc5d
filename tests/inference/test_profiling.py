"""init-profile describes functions that it has never seen, and says so where it cannot."""

import re
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from focal_ref.conformance.cli.init_profile import command
from focal_ref.conformance.gate import items_of, run_item
from focal_ref.conformance.inference.exploring import search
from focal_ref.conformance.inference.profiling import profile_function
from focal_ref.conformance.inference.reading import read
from focal_ref.conformance.profiles import parse_profile
from focal_ref.conformance.targets import UsageError
from focal_ref.conformance.targets.python import profile_target

NUMPY = {
    "blended": {"alpha": "pos/1-pos", "alpha_off": "-1", "soft_targets": "blended", "mean": "elements"},
    "of_probabilities": {
        "prediction": "probabilities",
        "alpha": "pos-only",
        "soft_targets": "mixture",
        "clipping": "probability",
        "epsilon": 1e-6,
        "order": ("targets", "logits"),
        "alpha_name": "balance",
        "gamma_name": "focusing",
        "mean": "unsupported",
    },
    "total_over_positives": {"fixed": {"alpha": 0.25, "gamma": 2.0}, "returns": "sum", "mean": "positives"},
    "plain_total": {"alpha": "none", "returns": "sum", "sum": "elements", "gamma_name": "g"},
    "quality": {"formula": "quality", "alpha": "none", "soft_targets": "formula"},
    "varifocal": {"formula": "varifocal", "alpha": "neg-only", "soft_targets": "formula"},
    "asymmetric": {"formula": "asymmetric", "alpha": "none"},
    "alternate": {"formula": "star", "alpha_off": "none", "gamma_name": "shape"},
    "rows_of_one_hot": {
        "multi_class": "softmax",
        "alpha": "uniform",
        "targets": "one-hot",
        "soft_targets": "mixture",
        "returns": "rows",
    },
    "labels_of_rows": {
        "multi_class": "softmax",
        "alpha": "class-vector",
        "alpha_name": "class_weights",
        "targets": "labels",
        "mean": "weights",
        "sum": "elements",
        "ignore": 255,
    },
    "blended_asymmetric": {
        "formula": "asymmetric",
        "alpha": "none",
        "soft_targets": "unsupported",
        "ignore": "none",
        "clipping": "logarithm",
        "epsilon": 1e-8,
    },
    "added_epsilon": {"alpha": "none", "soft_targets": "mixture", "clipping": "added", "epsilon": 1e-6},
    "over_boxes": {"constants": {"num_boxes": 1.0}, "returns": "sum", "minimum_rank": 2, "alpha_off": "-1"},
    "totals_of_rows": {"multi_class": "sigmoid", "trailing_axis": True, "alpha": "none"},
    "signed": {"targets": "signed", "soft_targets": "unsupported", "alpha": "none"},
    "integers_alone": {"targets": "integer", "soft_targets": "unsupported"},
    "with_gradient": {"pair": True, "gradient_source": "function"},
    "with_probabilities": {"pair": True, "gradient_source": "none"},
    "apart": {"gradient_name": "losses_in_numpy:apart_gradient", "gradient_source": "function"},
    "one_number_of_rows": {"multi_class": "softmax", "alpha": "none", "returns": "sum", "mean": "rows"},
    "visible_epsilon": {"clipping": "added", "epsilon": 1e-4, "dtypes": {"float64", "float32", "float16"}},
    "by_positives": {"reduction": "reduce_by", "mean_name": "pos", "mean": "positives", "sum": "unsupported"},
    "flagged_rows": {"reductions": {"none": 0, "mean": 1, "sum": 0}, "mean": "rows", "sum": "unsupported"},
    "mean_of_valid_rows": {"returns": "sum", "targets": "labels", "mean": "valid", "ignore": 255},
    "unnamed": {"order": ("targets", "logits"), "gamma_name": "c", "alpha_name": "d", "alpha": "pos/1-pos"},
    "Callable": {"construct": True, "gamma_name": "focus", "alpha_name": "balance", "alpha_off": "-1"},
}
TORCH = {
    "OfCrossEntropy": {
        "construct": True,
        "multi_class": "softmax",
        "targets": "labels",
        "alpha": "class-vector",
        "alpha_name": "weight",
        "mean": "valid",
        "ignore": -100,
        "class_axis": 1,
        "gradient": "autodiff",
    },
    "MeanAlone": {"construct": True, "alpha": "uniform", "returns": "sum", "mean": "elements"},
    "with_keywords": {"alpha": "pos/1-pos", "soft_targets": "blended", "gradient": "autodiff"},
    "float64_in_float32": {"alpha_off": "-1", "dtypes": {"float32"}},
    "from_logits_or_not": {
        "constants": {"from_logits": True},
        "alpha_off": "flag",
        "clipping": "probability",
        "epsilon": 1e-7,
        "order": ("targets", "logits"),
    },
    "in_boolean_average": {"returns": "sum", "reduction": "size_average", "mean": "elements", "sum": "elements"},
    "instance": {"fixed": {"alpha": 0.4, "gamma": 3.0}, "construct": False, "alpha_off": "unsupported"},
    "four_dimensions_alone": {"minimum_rank": 4, "class_axis": 1, "alpha": "class-vector", "returns": "rows"},
    "one_sigmoid_a_class": {"targets": "labels", "background": "classes", "constants": {"num_classes": 3}},
    "two_dimensions_alone": {"alpha": "pos-only", "alpha_off": "none"},
    "without_a_graph": {"gradient": "none"},
}
PUBLIC = {
    "kornia.losses:binary_focal_loss_with_logits": {"soft_targets": "mixture", "ignore": -100, "minimum_rank": 2},
    "kornia.losses:focal_loss": {
        "multi_class": "softmax",
        "alpha": "first/rest",
        "returns": "classes",
        "class_axis": 1,
    },
    "fvcore.nn.focal_loss:sigmoid_focal_loss": {"alpha_off": "-1", "dtypes": {"float32"}},
    "fvcore.nn.focal_loss:sigmoid_focal_loss_star": {"formula": "star", "fixed": {"beta": 0.0}},
}
CASES = {
    **{f"losses_in_numpy:{name}": expected for name, expected in NUMPY.items()},
    **{f"losses_in_torch:{name}": expected for name, expected in TORCH.items()},
    **PUBLIC,
}


@pytest.fixture(autouse=True)
def modules_beside_this_one(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)


def found_in(profile, key):
    if key == "mean_name":
        return profile.signature.reductions["mean"]
    if key.endswith("_name"):
        return getattr(profile.signature, key.removesuffix("_name"))
    if key == "gradient_source":
        return profile.conventions["gradient"]
    if key == "dtypes":
        return set(profile.tiers)
    return profile.conventions[key] if key in profile.conventions else getattr(profile.signature, key)


@pytest.mark.parametrize("path", CASES)
def test_a_function_is_described_as_it_was_written(path):
    result = profile_function(path)
    assert result.problem == "", result.details
    profile = parse_profile(result.text, "found.toml")
    assert {key: found_in(profile, key) for key in CASES[path]} == CASES[path]


@pytest.mark.parametrize("path", ["losses_in_numpy:of_probabilities", "losses_in_numpy:labels_of_rows"])
def test_a_profile_that_was_found_passes_its_declarations(path):
    profile = parse_profile(profile_function(path).text, "found.toml")
    target = profile_target(profile)
    items = [item for item in items_of(profile) if item.name.startswith("FL-DECL-")]
    assert len(items) >= 13
    assert [str(item) for item in items if not run_item(item, target, "").passed] == []


@pytest.mark.parametrize(
    ("module", "name", "targets", "multi_class", "soft_targets"),
    [
        ("losses_in_jax", "rows", "labels", "softmax", "unsupported"),
        ("optax.losses", "sigmoid_focal_loss", "floating", "sigmoid", "blended"),
    ],
)
def test_functions_of_jax_are_recognised(module, name, targets, multi_class, soft_targets):
    # The whole of a profile takes JAX a dozen compilations in each of four formats.
    function = getattr(import_module(module), name)
    found = search(function, read(function)).found
    assert found.subject.library.name == "jax"
    assert found.subject.signature.targets == targets
    (fit,) = found.fits
    assert (fit.conventions["multi_class"], fit.conventions["soft_targets"]) == (multi_class, soft_targets)


PROBLEMS = {
    "cubed_logarithm": "none of the known formulas",
    "squared_alpha": "its argument 'alpha' moves the loss, but as none of the known values of alpha does: "
    "with alpha=0.3 positives weigh 0.09, negatives weigh 0.49",
    "multiplied_gamma": "its argument 'gamma' moves the loss, but as none of the known values of gamma does",
    "base_ten": "none of the known formulas",
    "always_raises": "no way to call it gives numbers",
    "rows_of_probabilities": "it takes the probabilities of a softmax",
}


@pytest.mark.parametrize(("name", "problem"), PROBLEMS.items())
def test_what_no_profile_describes_is_said_and_not_written(name, problem):
    result = profile_function(f"losses_in_numpy:{name}")
    assert result.text == ""
    assert problem in result.problem


def test_the_numbers_of_what_nothing_fits_are_shown():
    details = "\n".join(profile_function("losses_in_numpy:base_ten").details)
    p = 1 / (1 + np.exp(-0.34))
    assert f"{(1 - p) ** 2 * -np.log10(p):.6g}" in details
    # Against the natural logarithm.
    assert details.count("0.434294") == 2


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("losses_in_numpy", "got 'losses_in_numpy'; name what to profile as package.module:function"),
        ("nowhere_at_all:f", "cannot import 'nowhere_at_all'"),
        ("losses_in_numpy:nothing", "'losses_in_numpy' has no 'nothing'"),
        ("losses_in_numpy:np", "it is a module, which cannot be called"),
        ("losses_in_numpy:one_argument", "it does not take two arrays, predictions and targets"),
    ],
)
def test_what_cannot_be_profiled_is_a_usage_error(path, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        profile_function(path)


def run(*arguments):
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def test_the_command_writes_a_file_with_what_was_seen_and_a_table(tmp_path):
    path = tmp_path / "found.toml"
    done = run("losses_in_numpy:of_probabilities", "-o", str(path))
    assert done.return_value == 0
    text = path.read_text()
    assert parse_profile(text, "found.toml").conventions["epsilon"] == 1e-6
    (line,) = (line for line in text.splitlines() if line.startswith("clipping = "))
    assert line.startswith('clipping = "probability"')
    assert "# a hard element, p = 1e-13: " in line
    assert "conventions.alpha" in done.stdout
    assert "pos-only" in done.stdout


def test_the_command_shows_the_profile_where_no_file_is_named():
    done = run("losses_in_numpy:quality")
    assert done.return_value == 0
    assert parse_profile(done.stdout, "found.toml").conventions["formula"] == "quality"
    assert "conventions.formula" in done.stderr


def test_the_command_does_not_replace_a_file(tmp_path):
    path = tmp_path / "found.toml"
    path.write_text("kept")
    done = run("losses_in_numpy:quality", "-o", str(path))
    assert isinstance(done.exception, click.UsageError)
    assert "it exists; choose another name, or replace it with --force" in str(done.exception)
    assert path.read_text() == "kept"
    assert run("losses_in_numpy:quality", "-o", str(path), "--force").return_value == 0
    assert path.read_text().startswith("# Conventions of losses_in_numpy:quality")


def test_the_command_writes_nothing_where_nothing_fits(tmp_path):
    path = tmp_path / "found.toml"
    done = run("losses_in_numpy:cubed_logarithm", "-o", str(path))
    assert done.return_value == 1
    assert not path.exists()
    assert "behaves as none of the known formulas; no profile is written" in done.stderr


def test_the_library_can_be_named():
    assert profile_function("losses_in_numpy:quality", "numpy").problem == ""
    assert "no way to call it" in profile_function("losses_in_torch:in_boolean_average", "numpy").problem
