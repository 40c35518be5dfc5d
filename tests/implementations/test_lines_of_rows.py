"""Lines of functions of rows: class weights, sums over the classes, Hessians, rows that are ignored."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from focal_ref.conformance.profiles import parse_profile
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.python import profile_target

ROOT = Path(__file__).resolve().parents[2]

PROFILE = """
[profile]
name = "mine"
description = "a function of rows"
package = "numpy"
library = "{library}"
{kind}
[signature]
{signature}
targets = "labels"

[conventions]
formula = "focal"
prediction = "logits"
multi_class = "{multi_class}"
alpha = "{alpha}"
alpha_off = "none"
soft_targets = "unsupported"
clipping = "none"
epsilon = 0
mean = "{mean}"
sum = "unsupported"
background = "none"
ignore = {ignore}
gradient = "{gradient}"
subnormals = "kept"

[claims]
capabilities = [{capabilities}]

[claims.dtypes]
{dtype} = "cancellation-limited"
"""
LOSS = {
    "library": "torch", "kind": "", "signature": "", "multi_class": "softmax", "alpha": "none", "mean": "valid",
    "ignore": "-100", "gradient": "autodiff", "capabilities": '"easy_elements"', "dtype": "float32",
}  # fmt: skip
OBJECTIVE = LOSS | {
    "library": "numpy", "kind": 'kind = "objective"', "signature": 'binding = "mine_of_rows:Objective"',
    "mean": "unsupported", "ignore": '"none"', "gradient": "function", "capabilities": '"second_derivative"',
    "dtype": "float64",
}  # fmt: skip


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "implementations"))
    import catalogue
    import reproduction.lines
    import reproduction.search
    import reproduction.shell

    return {
        "catalogue": catalogue,
        "lines": reproduction.lines,
        "search": reproduction.search,
        "shell": reproduction.shell,
    }


@pytest.fixture
def target(monkeypatch):
    """The function or class that a module is given, as a profile calls it."""

    def of(member, **profile):
        module = ModuleType("mine_of_rows")
        setattr(module, member.__name__, member)
        monkeypatch.setitem(sys.modules, "mine_of_rows", module)
        return profile_target(parse_profile(PROFILE.format(**profile), "mine.toml"))

    return of


def entry(tool):
    return tool["catalogue"].Implementation("mine", "mine", "mine_of_rows:mine", "torch", "mine.toml", "loss")


def lines(tool, target, requirement, dtype):
    return list(tool["search"].reproductions(target, entry(tool), requirement, dtype))


def torch_rows(logits, targets, gamma):
    """The softmax loss of rows and their labels."""
    import torch

    log_p = torch.log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).squeeze(1)
    return -((-torch.expm1(log_p)) ** gamma) * log_p


def test_class_weights_given_to_a_class_are_written_as_a_tensor(tool, target):
    class Focal:
        def __init__(self, alpha=None, gamma=2.0, reduction="mean"):
            self.arguments = alpha, gamma

        def __call__(self, logits, targets):
            alpha, gamma = self.arguments
            return torch_rows(logits, targets, gamma) * alpha[targets].to(logits.dtype)

    signature = """function = "mine_of_rows:Focal"\nalpha = "alpha"\ngamma = "gamma"\nreduction = "reduction"
construct = true\nclass_axis = 1\nminimum_rank = 2"""
    mine = target(Focal, **{**LOSS, "signature": signature, "alpha": "class-vector"})
    call = Call(np.zeros((1, 3), np.float32), np.array([1]), np.array([0.25, 1.0, 2.0]), 2.0, function="softmax_loss")
    found = tool["lines"].line(mine, entry(tool), call, "value", tool["lines"].NUMBER)
    assert 'alpha=torch.tensor([0.25, 1.0, 2.0], dtype=torch.float64), reduction="none")' in found


class Columns:
    """One sigmoid a class, whose losses a user gets added up; far below 0 the loss of a positive is lost."""

    adds_classes = True
    imports = "from mine_of_rows import mine"
    expression = "mine(x, t, {gamma})"

    def loss(self, logits, targets, *, gamma, alpha=None):
        import torch

        margins = torch.where(torch.nn.functional.one_hot(targets.long(), logits.shape[-1]) == 1, logits, -logits)
        losses = torch.sigmoid(-margins) ** gamma * torch.nn.functional.softplus(-margins)
        return losses * (margins > -80)


def test_of_a_function_that_adds_up_the_classes_the_line_shows_their_sum(tool, target):
    changed = {"signature": 'binding = "mine_of_rows:Columns"', "multi_class": "sigmoid", "mean": "unsupported"}
    mine = target(Columns, **{**LOSS, **changed, "ignore": '"none"'})
    found = next(one for one in lines(tool, mine, "FL-EXT-009", "float32") if one.quantity == "value")
    assert "print(mine(x, t, 2.0).item())" in found.command
    assert "x = torch.tensor([[90.0, 0.0]]); t = torch.tensor([1])" in found.command
    # 90 (1 - e^-90)^2 of the negative, (1/2)^2 log 2 of the positive.
    assert float(found.right) == pytest.approx(90 + 0.25 * np.log(2), rel=1e-6)
    assert found.is_shown_by(tool["shell"].Printed(0, "0.1732867956161499"))
    assert not found.is_shown_by(tool["shell"].Printed(0, "90.17328643798828"))


def test_a_fault_that_cannot_be_seen_in_the_sum_of_a_row_is_not_shown_by_it(tool, target):
    class Small(Columns):
        def loss(self, logits, targets, *, gamma, alpha=None):
            import torch

            exact = Columns.loss(self, logits, targets, gamma=gamma)
            return torch.where(exact < 1e-6, torch.zeros_like(exact), exact)

    changed = {"signature": 'binding = "mine_of_rows:Small"', "multi_class": "sigmoid", "mean": "unsupported"}
    mine = target(Small, **{**LOSS, **changed, "ignore": '"none"'})
    judge = tool["search"].Judge(mine, "FL-LAB-001", "float32")
    shown = tool["search"].Shown("zero", np.array([[1.0, 1e-9]], np.float32), np.array([[1.0, 0.0]], np.float32), "")
    assert judge.printed(shown, "value") is None
    assert judge.printed(shown, "gradient") is shown


class Objective:
    """Derivatives of rows: the factor of the class that is asked for, in the place of that of the label."""

    imports = "from mine_of_rows import mine"
    framework = "numpy"
    differentiated = False

    def expression(self, quantity, **texts):
        return f"mine(x, t, {texts['gamma']})[{int(quantity != 'gradient')}]"

    def derivatives(self, logits, targets, *, gamma, alpha=None):
        rows = logits.reshape(-1, logits.shape[-1])
        p = np.exp(rows - rows.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        first = (1.0 - p) ** gamma * (p - (np.arange(rows.shape[-1]) == targets.reshape(-1, 1)))
        second = np.where((rows > 30.0) & (rows.shape[-1] == 3), np.nan, p * (1.0 - p))
        return first.reshape(logits.shape), second.reshape(logits.shape)


def test_gradients_that_do_not_add_up_to_zero_are_shown_by_a_gradient(tool, target):
    (found,) = lines(tool, target(Objective, **OBJECTIVE), "FL-SMX-004", "float64")
    assert found.quantity == "gradient"
    assert found.command.endswith("print(mine(x, t, 2.0)[0].reshape(-1).tolist())'")
    right = [float(number) for number in found.right.strip("[]").split(",")]
    assert len(right) > 1
    assert sum(right) == pytest.approx(0.0, abs=1e-12)


def test_a_second_derivative_of_a_row_is_compared_with_the_diagonal_of_its_hessian(tool, target):
    (found,) = lines(tool, target(Objective, **OBJECTIVE), "FL-SMX-003", "float64")
    assert found.quantity == "second_derivative"
    assert "x = np.array([[40.0, 0.0, 0.0]]); t = np.array([1])" in found.command
    # Second differences of -(1 - p)^2 log(p) for the row 40, 0, 0 and the label 1, in 60 digits.
    right = [float(number) for number in found.right.strip("[]").split(",")]
    assert right == pytest.approx([-3.143782148917e-16, -3.186265691472e-16, 4.248354255e-18], rel=1e-8)


def test_no_line_differentiates_a_row_twice_because_that_gives_sums_over_its_hessian(tool, target):
    mine = target(mine_alone, **{**LOSS, "signature": MINE})
    call = Call(np.zeros((1, 3), np.float32), np.array([1]), None, 2.0, function="softmax_loss")
    assert tool["lines"].line(mine, entry(tool), call, "gradient", tool["lines"].NUMBERS) is not None
    assert tool["lines"].line(mine, entry(tool), call, "second_derivative", tool["lines"].NUMBERS) is None


MINE = """function = "mine_of_rows:mine_alone"\ngamma = "gamma"\nreduction = "reduction"\nclass_axis = 1
minimum_rank = 2"""


def mine_alone(logits, targets, gamma=2.0, reduction="none"):
    """Ignored rows times zero, which NaN survives."""
    counted = (targets != -100).to(logits.dtype)
    losses = torch_rows(logits, targets.clamp(min=0), gamma) * counted
    return losses if reduction == "none" else losses.sum() / counted.sum()


def test_a_mean_that_nan_of_an_ignored_row_gets_into_is_shown_by_two_rows(tool, target):
    (found,) = (
        one
        for one in lines(tool, target(mine_alone, **{**LOSS, "signature": MINE}), "FL-RED-007", "float32")
        if one.quantity == "value"
    )
    assert "torch.tensor([[0.0, 0.0], [torch.nan, torch.nan]]), torch.tensor([0, -100])" in found.command
    # (1/2)^2 log 2, of the one row that counts.
    assert float(found.right) == pytest.approx(0.25 * np.log(2), rel=1e-6)


def test_what_packages_print_at_their_import_is_no_part_of_what_a_line_prints(tool):
    printed_of = tool["shell"].printed_of
    banner = "package 0.29 is not made for 2.13.\nRun something.\n"
    printed = printed_of("A=b python -c 'print(1.5)'", 0, f"{banner}[1.5, nan]\n", "")
    assert printed.output == "[1.5, nan]"
    assert str(printed.numbers) == "[1.5, nan]"
    failed = printed_of("python -c 'f()'", 1, banner, "Traceback\nKeyError: 3\n")
    assert (failed.code, failed.output, failed.numbers) == (1, "KeyError: 3", [3.0])
    # The suite says more than one line.
    repeated = printed_of("focal-ref repro FL-DECL-001 | grep -E '^  (got) '", 0, "  case  a\n  got  b\n", "")
    assert repeated.output == "case  a\n  got  b"
