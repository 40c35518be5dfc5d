"""Every implementation that is known to be wrong is found by the requirement that it names, in a comparison."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance import mutants as package
from focal_ref.conformance.kill_matrix import EXCEPTION, PROPERTY, VECTORS, claimed_requirements, found_by, right_form
from focal_ref.conformance.mutants import NOBODY, Mutant, mutant, mutants, right_target
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call, UsageError

MUTANTS = [pytest.param(one, id=one.name) for one in mutants()]


def sought(one: Mutant) -> str:
    return PROPERTY if one.property_only else VECTORS


@pytest.mark.parametrize("one", MUTANTS)
def test_a_mutant_is_found_by_the_requirement_that_it_names(one):
    target = one.target()
    assert one.requirement in claimed_requirements(target.profile)
    way, findings = found_by(requirements()[one.requirement], target, one.dtype, sought(one))
    assert way == sought(one), findings


@pytest.mark.parametrize("one", MUTANTS)
def test_a_mutant_says_what_is_wrong_and_what_to_change(one):
    assert one.title
    assert one.fault.endswith(".")
    assert one.advice.endswith(".")
    assert one.seen
    assert all(isinstance(text, str) and text for text in one.seen)
    assert one.seen == (NOBODY,) or NOBODY not in one.seen
    assert one.replaced


@pytest.mark.parametrize("one", MUTANTS)
def test_where_a_mutant_was_seen_is_an_issue_or_words(one):
    links = [text for text in one.seen if "://" in text]
    assert all(re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", link) for link in links)


def tried():
    """Every number of a mutant that is a matter of taste, by the mutant's name and its own."""
    for one in mutants():
        tree = ast.parse(Path(package.__file__).with_name(f"{one.name}.py").read_text(encoding="utf-8"))
        constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for name, values in ast.literal_eval(constants["TRIED"]).items() if "TRIED" in constants else ():
            yield pytest.param(tree, constants, name, values, id=f"{one.name}-{name}")


@pytest.mark.parametrize(("tree", "constants", "name", "values"), list(tried()))
def test_a_number_that_can_be_another_is_read_when_the_mutant_is_called(tree, constants, name, values):
    assert ast.literal_eval(constants[name]) in values
    assert len(set(values)) == len(values) > 1
    inside = [statement for part in tree.body if isinstance(part, ast.FunctionDef) for statement in part.body]
    read = {node.id for statement in inside for node in ast.walk(statement) if isinstance(node, ast.Name)}
    assert name in read


def test_there_is_a_mutant_for_every_requirement():
    assert {one.requirement for one in mutants()} == set(requirements())


def test_titles_are_different():
    titles = [one.title for one in mutants()]
    assert len(set(titles)) == len(titles)


def test_listing_mutants_executes_none_of_them():
    # Those of PyTorch and JAX import their library.
    source = Path(package.__file__).read_text(encoding="utf-8")
    imported = {
        node.module.partition(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert not imported & {"torch", "jax"}
    assert mutant("upstream_gradient_ignored").library == "torch"


def test_what_a_mutant_remembers_is_forgotten_with_its_target():
    def first_value(target):
        return float(target.value(Call(np.array([1.0], np.float32), np.array([1.0], np.float32)))[0])

    stateful = mutant("moving_average_normalizer")
    one = stateful.target()
    first = first_value(one)
    assert first_value(one) != first
    assert first_value(stateful.target()) == first


def test_an_unknown_mutant_is_named():
    with pytest.raises(
        ValueError, match="mutant: got 'no_such'; known are absolute_error_for_the_logarithm, accurate_not_rounded, "
    ):
        mutant("no_such")


def test_a_mutant_of_a_library_that_is_missing_says_so(monkeypatch):
    def missing(module):
        raise ImportError(name="torch")

    monkeypatch.setattr(
        "importlib._bootstrap_external.SourceFileLoader.exec_module", lambda self, module: missing(module)
    )
    with pytest.raises(UsageError, match="mutant upstream_gradient_ignored: torch is not installed"):
        mutant("upstream_gradient_ignored").target()


def test_the_right_form_claims_what_the_backend_claims_but_for_correct_rounding():
    claimed = right_target().profile.capabilities
    assert load_profile("numpy").capabilities - claimed == {"same_bits", "exhaustive", "fast"}


def test_the_right_form_is_not_accused():
    form = right_form(mutant("gamma_multiplied"))
    assert not form.accused
    assert len(form.called) == len(claimed_requirements(right_target().profile))


def test_a_target_that_raises_is_found_as_an_exception():
    target = right_target()

    def broken(logits, targets, **options):
        raise RuntimeError("out of order")

    target.parts["loss"] = broken
    way, findings = found_by(requirements()["FL-VAL-001"], target, "float32")
    assert way == EXCEPTION
    assert findings[0].got == "RuntimeError: out of order"
