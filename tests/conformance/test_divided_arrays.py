"""Arrays that are divided over devices or processes: the checks tell right from wrong, and targets really divide."""

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from focal_ref.conformance.checks import checks
from focal_ref.conformance.claims import not_claimed
from focal_ref.conformance.diagnosis import Recording
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.mutants import mutant, right_profile, right_target
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call, TargetFault, devices
from focal_ref.conformance.targets.python import backend_target

ELEMENTS, SUMS = "FL-XFM-008", "FL-XFM-009"
IGNORED, BACKGROUND = -2, -1
FOUR = np.zeros((4, 4), np.float32)


def run(requirement, target, dtype="float32"):
    examiner = Examiner(target, requirements()[requirement], dtype)
    checks()[requirement](examiner)
    return examiner


def cases(requirement, target):
    return [finding.case for finding in run(requirement, target).findings]


def parts_of(call, axis, offset):
    """A call for each half of the logits, as those who have the half would make it."""
    size = call.logits.shape[axis] // 2
    for start, logits in zip((0, size), np.split(call.logits, 2, axis), strict=True):
        if axis < call.targets.ndim:
            targets = np.split(call.targets, 2, axis)[start // size]
        else:
            own = call.targets - (start if offset else 0)
            here = (call.targets >= 0) & (own >= 0) & (own < size)
            targets = np.where(call.targets == IGNORED, IGNORED, np.where(here, own, BACKGROUND))
        yield replace(call, logits=logits, targets=targets)


def in_parts(target, call, axis, fault):
    """Value and gradient of two halves put together, with a fault."""
    parts = list(parts_of(call, axis, fault != "classes of a part"))
    both = [target.value_and_gradient(replace(part, reduction="none")) for part in parts]
    values, slopes = ([pair[index] for pair in both] for index in (0, 1))
    counts = [part.logits.size for part in parts]
    if call.function != "loss":
        wide = call.logits.shape[-1] // len(parts) if axis == 2 else call.logits.shape[-1]
        each = 1 if call.function == "softmax_loss" else wide
        counts = [each * np.count_nonzero(part.targets != IGNORED) for part in parts]
    if fault == "a part is lost":
        values[1], slopes[1] = 0 * values[1], 0 * slopes[1]
    if call.reduction == "none":
        return np.concatenate(values, axis), np.concatenate(slopes, axis)
    by = sum(counts) if call.reduction == "mean" else 1
    total = sum(value.astype(np.float64).sum() for value in values) / by
    if fault == "sum of a part":
        total = values[1].astype(np.float64).sum() / by
    if fault == "count of a part" and call.reduction == "mean":
        total = np.mean([value.astype(np.float64).sum() / count for value, count in zip(values, counts, strict=True)])
    if fault == "gradient without the count":
        by = 1
    gradient = np.concatenate(slopes, axis).astype(np.float64) / by
    return np.asarray(total, call.logits.dtype), gradient.astype(call.logits.dtype)


def halves(fault=""):
    """The right form on NumPy with a way to divide arrays."""
    profile = right_profile()
    target = right_target(replace(profile, capabilities=profile.capabilities | {"devices"}))
    target.divided = lambda call, axis: in_parts(target, call, axis, fault)
    return target


class Silent:
    """Processes that take a question and never answer."""

    forgotten = False

    def __call__(self, library):
        return (self,)

    def submit(self, *question):
        return Future()

    def cache_clear(self):
        self.forgotten = True


@pytest.mark.parametrize("requirement", [ELEMENTS, SUMS])
def test_halves_that_are_put_together_rightly_pass(requirement):
    examiner = run(requirement, halves())
    assert not examiner.findings
    assert examiner.comparisons > 0


@pytest.mark.parametrize(
    ("requirement", "fault", "found"),
    [
        (ELEMENTS, "classes of a part", {"labels, divided over classes"}),
        (
            ELEMENTS,
            "a part is lost",
            {
                *(f"divided over {axis}" for axis in ("pictures", "anchors", "classes")),
                *(f"labels, divided over {axis}" for axis in ("pictures", "classes")),
                *(f"softmax, divided over {axis}" for axis in ("pictures", "anchors")),
            },
        ),
        (
            SUMS,
            "sum of a part",
            {
                *(f"sum, divided over {axis}" for axis in ("pictures", "classes")),
                *(f"mean of labels, divided over {axis}" for axis in ("pictures", "classes")),
                "mean of softmax, divided over pictures",
            },
        ),
        (
            SUMS,
            "count of a part",
            {"mean of labels, divided over pictures", "mean of softmax, divided over pictures"},
        ),
        (
            SUMS,
            "gradient without the count",
            {
                *(f"mean of labels, divided over {axis}" for axis in ("pictures", "classes")),
                "mean of softmax, divided over pictures",
            },
        ),
    ],
)
def test_what_is_wrong_in_a_part_is_found(requirement, fault, found):
    assert set(cases(requirement, halves(fault))) == found


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_backends_that_divide_arrays_meet_the_requirements(backend):
    pytest.importorskip(backend)
    target = backend_target(backend, None)
    assert "devices" in target.profile.capabilities
    for requirement in (ELEMENTS, SUMS):
        examiner = run(requirement, target)
        assert not examiner.findings
        assert examiner.comparisons > 0


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_what_a_function_raises_on_parts_is_raised(backend):
    pytest.importorskip(backend)
    with pytest.raises(ValueError, match="reduction: got 'avg'"):
        backend_target(backend, None).divided(Call(FOUR, FOUR, reduction="avg"), 0)


def test_an_array_that_one_process_has_as_a_whole_is_not_taken_for_a_divided_one():
    pytest.importorskip("torch")
    single = FOUR[:, :1]
    with pytest.raises(RuntimeError, match=r"logits of shape \(4, 1\) are not divided over 2 processes"):
        backend_target("torch", None).divided(Call(single, single), 1)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_process_that_ends_is_a_fault_and_the_next_call_gets_another(backend, tmp_path, monkeypatch):
    pytest.importorskip(backend)
    (tmp_path / "ending.py").write_text("import os\ndef end(*given, **options):\n    os._exit(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    # New processes, which find the module.
    devices._executors.cache_clear()
    target, call = backend_target(backend, None), Call(FOUR, FOUR)
    before = target.divided(call, 0)
    question = devices.Question(backend, "ending:end", FOUR, FOUR, {}, 0)
    with pytest.raises(TargetFault, match="a process that had a part of the array ended") as found:
        devices.divided(question)
    assert found.value.kind == "crash"
    for one, other in zip(target.divided(call, 0), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_processes_that_do_not_answer_are_a_fault(monkeypatch):
    monkeypatch.setattr(devices, "TIME_LIMIT", 0.01)
    monkeypatch.setattr(devices, "GRACE", 0.01)
    monkeypatch.setattr(devices, "_executors", Silent())
    with pytest.raises(TargetFault, match=r"no answer of 1 processes within 0.02 s") as found:
        devices.divided(devices.Question("jax", "focal_ref:loss", FOUR, FOUR, {}, 0))
    assert found.value.kind == "hang"
    assert devices._executors.forgotten


def test_a_target_without_a_way_to_divide_arrays_says_so():
    profile = right_profile()
    target = right_target(replace(profile, capabilities=profile.capabilities | {"devices"}))
    finding = run(ELEMENTS, target).findings[0]
    assert finding.got == "NotImplementedError: right has no arrays that are divided over devices"
    with pytest.raises(NotImplementedError, match="numpy has no arrays that are divided over devices"):
        backend_target("numpy", None).divided(Call(FOUR, FOUR), 0)


def test_a_function_that_other_processes_cannot_import_is_refused():
    def inside(logits, targets):
        return logits

    with pytest.raises(NotImplementedError, match=r"other processes, which cannot import '.*<locals>\.inside'"):
        devices.path_of(inside)
    with pytest.raises(NotImplementedError, match="give one that takes the canonical call, at the top of a module"):
        devices.path_of(SimpleNamespace())


def test_a_function_is_named_by_its_module():
    target = mutant("sum_of_a_part").target()
    assert devices.path_of(target.function) == "focal_ref.conformance.mutants.sum_of_a_part:loss"


def test_who_does_not_claim_devices_is_told_what_is_missing():
    lacking = {requirement.id: name for requirement, name in not_claimed(load_profile("numpy"))}
    assert lacking[ELEMENTS] == lacking[SUMS] == "devices"


def test_compiled_pytorch_claims_no_divided_arrays():
    pytest.importorskip("torch")
    assert "devices" not in backend_target("torch:compile", None).profile.capabilities


def test_answers_on_divided_arrays_are_recorded():
    recording = Recording(halves())
    call = Call(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32))
    value, _ = recording.divided(call, 0)
    assert [answer.method for answer in recording.answers] == ["divided"]
    np.testing.assert_array_equal(recording.answers[0].results["value"], value)
