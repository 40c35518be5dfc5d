"""A failure as a few lines of plain Python that need nothing of the suite."""

import copy
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

import focal_ref
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.targets import ROWS, Call, Target
from focal_ref.conformance.targets.mapping import Mapped
from focal_ref.conformance.targets.python import PythonTarget

MAXIMUM_NUMBERS = 64
"""Inputs of more numbers than this are not printed."""


class _Recorder:
    """A function that remembers with what it was called; of one that makes a callable, both calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls: list[tuple[tuple[Any, ...], Mapping[str, Any]]] = []

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self.calls.append((arguments, keywords))
        result = self.function(*arguments, **keywords)
        if not callable(result):
            return result
        inner = _Recorder(result)
        inner.calls = self.calls
        return inner


def snippet(target: Target, finding: Finding, path: str | None = None) -> str:
    """Python code that calls the target as the finding's comparison did, or a line that says why there is none.

    Parameters
    ----------
    target
        Under test.
    finding
        One of its failures in this process.
    path
        What ``--target`` named, where it was not the profile's own function.
    """
    call = finding.made_by
    if not isinstance(target, PythonTarget):
        return "# No snippet: the target is a program. The questions and answers are those of docs/protocol.md."
    if call is None:
        return "# No snippet: this comparison is not one of a single call of the loss."
    call = _shortest(target, call, finding)
    if call.logits.size > MAXIMUM_NUMBERS:
        return f"# No snippet: the call has {call.logits.size} logits; the command above repeats it."
    found = recorded(target, call, finding.quantity)
    if found is None:
        return f"# No snippet: the {finding.quantity} of {call.function} is called in no way that can be written down."
    own_path, calls = found
    return "\n".join(_lines(target, finding, path or own_path, calls))


def _shortest(target: PythonTarget, call: Call, finding: Finding) -> Call:
    """The call for the failing element alone; after an error for the first one, if it raises as well."""
    if finding.element is not None:
        return _single(call, finding.element)
    single = _single(call, 0) if finding.signature == "raise" and call.logits.size else call
    try:
        target.value(single)
    except Exception:  # a target may raise anything
        return single
    return call


def _lines(target: PythonTarget, finding: Finding, path: str, calls: list[Any]) -> list[str]:
    arguments, keywords = calls[-1]
    imports, name = _imported(path)
    module = target.library.adapter.name
    uses = ["import torch"] if module == "torch" else ["import numpy as np"]
    arrays = [value for value in (*arguments, *keywords.values()) if _is_array(value)]
    dtypes = {str(array.dtype).removeprefix("torch.") for array in arrays}
    if module == "jax":
        uses = ["import jax", "import jax.numpy as jnp"]
    elif module != "torch" and "bfloat16" in dtypes:
        uses = ["import ml_dtypes", *uses]
    lines = [f"# {finding.case}: {finding.quantity}", *dict.fromkeys((*uses, imports)), ""]
    if module == "jax" and "float64" in dtypes:
        lines.insert(-1, 'jax.config.update("jax_enable_x64", True)')
    given = []
    for key, value in [*((None, value) for value in arguments), *keywords.items()]:
        text = _written(value, module)
        if _is_array(value) and "logits" not in given:
            lines.append(f"logits = {text}")
            text = "logits"
        given.append(text if key is None else f"{key}={text}")
    for _, made_of in calls[:-1]:
        name += "(" + ", ".join(f"{key}={_written(value, module)}" for key, value in made_of.items()) + ")"
    lines += _computed(f"{name}({', '.join(given)})", module, finding.quantity)
    expected, got = (text.split("  ")[0] for text in (finding.expected, finding.got))
    lines.append("print(result)")
    lines.append(f"# expected: {expected}")
    lines.append(f"# got:      {got}")
    return lines


def _computed(called: str, module: str, quantity: str) -> list[str]:
    """Lines that compute the value, or its derivative with respect to the logits."""
    if quantity != "gradient":
        return [f"result = {called}"]
    if module == "torch":
        return ["logits.requires_grad_()", f"{called}.sum().backward()", "result = logits.grad"]
    if module == "jax":
        return [f"result = jax.grad(lambda logits: {called}.sum())(logits)"]
    return [f"result = {called}[1]"]


def recorded(target: PythonTarget, call: Call, quantity: str) -> tuple[str, list[Any]] | None:
    """Path of the function that was called, and its calls as it sees them."""
    clone = copy.copy(target)
    # Compiled functions see no numbers.
    clone.library = copy.copy(target.library)
    clone.library.variant = ""
    path = target.profile.signature.function or target.profile.signature.binding
    if quantity == "gradient" and not target._differentiates:
        # Only this project's own function of both is one that can be named.
        if target.direct is not focal_ref.value_and_grad or call.function != target.main:
            return None
        path, recorder = "focal_ref:value_and_grad", _Recorder(target.direct)
        clone.direct = recorder
    elif call.function != target.main:
        path, recorder = f"focal_ref:{call.function}", _Recorder(target.functions.loss(call.function))
        clone.functions = copy.copy(target.functions)
        _replace_loss(clone, call.function, recorder)
    elif isinstance(clone.function, Mapped):
        recorder = _Recorder(clone.function.function)
        clone.function = copy.copy(clone.function)
        clone.function.function = recorder
    else:
        recorder = _Recorder(clone.function)
        clone.function = recorder
    # What it raises is the finding.
    with suppress(Exception):
        if path.endswith(":value_and_grad"):
            clone.value_and_gradient(call)
        else:
            clone.value(call)
    return (path, recorder.calls) if recorder.calls else None


def _replace_loss(target: PythonTarget, name: str, recorder: _Recorder) -> None:
    losses = target.functions.loss

    def loss(asked: str) -> Callable[..., Any]:
        return recorder if asked == name else losses(asked)

    object.__setattr__(target.functions, "loss", loss)


def _single(call: Call, element: int) -> Call:
    """The call for one element, where a result belongs to one."""
    if call.function == ROWS or call.reduction != "none" or call.logits.shape != call.targets.shape:
        return call

    def one(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return np.broadcast_to(value, call.logits.shape).reshape(-1)[element : element + 1]

    parameters = {name: one(value) for name, value in call.parameters.items()}
    arrays = {name: one(getattr(call, name)) for name in ("logits", "targets", "alpha", "gamma", "weights")}
    return replace(call, parameters=parameters, **arrays)


def _imported(path: str) -> tuple[str, str]:
    """The line that imports a function, and its name."""
    module, _, attribute = path.partition(":")
    first, _, rest = attribute.partition(".")
    return f"from {module} import {first}", f"{first}.{rest}" if rest else first


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _written(value: Any, module: str) -> str:
    """A value as code, every number exactly."""
    if isinstance(value, float):
        return repr(value) if np.isfinite(value) else f'float("{value}")'
    if not _is_array(value):
        return repr(value)
    dtype = str(value.dtype).removeprefix("torch.")
    if module == "torch":
        detached = value.detach().cpu()
        numbers = (detached.float() if dtype == "bfloat16" else detached).numpy()
    else:
        numbers = np.asarray(value)
    if dtype in ("float64", "float32", "float16", "bfloat16"):
        text = _nested(numbers.astype(np.float64).tolist())
    else:
        text = repr(numbers.tolist())
    if module == "torch":
        return f"torch.tensor({text}, dtype=torch.{dtype})"
    if module == "jax":
        return f"jnp.array({text}, dtype=jnp.{'bool_' if dtype == 'bool' else dtype})"
    return f"np.array({text}, dtype={'ml_dtypes.bfloat16' if dtype == 'bfloat16' else f'np.{dtype}'})"


def _nested(numbers: Any) -> str:
    """Floats by their bits, which no decimal reading changes."""
    if isinstance(numbers, list):
        if len(numbers) > 3 and not isinstance(numbers[0], list):
            return f'[float.fromhex(text) for text in "{" ".join(map(_hex, numbers))}".split()]'
        return "[" + ", ".join(map(_nested, numbers)) + "]"
    return f'float.fromhex("{_hex(numbers)}")'


def _hex(number: float) -> str:
    return re.sub(r"\.?0+p", "p", float(number).hex()) if number else str(number)
