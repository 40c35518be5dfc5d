"""The line: Python code of one call, with nothing but the implementation and its library, quoted for a shell."""

import ast
import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogue import Implementation

from focal_ref.conformance.snippet import recorded
from focal_ref.conformance.targets import ROWS, Call, Target
from focal_ref.conformance.targets.mapping import canonical_keywords, own_targets
from focal_ref.conformance.targets.python import PythonTarget

from .texts import IMPORTS, array_text, as_numpy, is_array, value_text

NUMBER, NUMBERS, DTYPE, SHAPE = "number", "numbers", "dtype", "shape"
"""What a line prints of a result."""


_SINGLE_QUOTED = re.compile(r"""'([^'"\\]*)'""")


@dataclass(frozen=True)
class Expression:
    """A call as code.

    Attributes
    ----------
    imports
        Statements that have to come first.
    text
        The call, in which x stands for the logits.
    logits
        Code that makes them.
    statements
        What stands between, such as t = ... where the text has a t.
    framework
        Whose arrays they are.
    differentiated
        Whether the text is the value, of which a derivative is still to be taken.
    uses_x64
        Whether JAX has to be told that there are 64 bits.
    is_scalar
        Whether the text is one number, whatever the logits are.
    """

    imports: tuple[str, ...]
    text: str
    logits: str
    statements: tuple[str, ...]
    framework: str
    differentiated: bool = True
    uses_x64: bool = False
    is_scalar: bool = False


def line(target: PythonTarget, entry: Implementation, call: Call, quantity: str, shown: str) -> str | None:
    """The line for a call, or None where it cannot be written."""
    profile = target.profile
    made = (
        _of_binding(target, call, quantity) if profile.signature.binding else _of_mapping(target, entry, call, quantity)
    )
    if made is None:
        return None
    if quantity == "second_derivative" and call.function == ROWS and made.differentiated:
        # Differentiating twice gives the sums of a Hessian's rows, and not its diagonal.
        return None
    return python_line(_statements(made, quantity, shown), profile.environment)


def python_line(statements: Sequence[str], environment: Mapping[str, str]) -> str:
    """Statements as a command for a shell, after the variables that have to be set."""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in environment.items())
    return f"{variables}python -c {shlex.quote(_double_quoted('; '.join(statements)))}"


def _double_quoted(code: str) -> str:
    """The code with texts in double quotes, as single ones quote it in the shell; as it is where that changes it."""
    changed = _SINGLE_QUOTED.sub(r'"\1"', code)
    return changed if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(code)) else code


def _statements(made: Expression, quantity: str, shown: str) -> list[str]:
    first = [IMPORTS[made.framework], *made.imports]
    if made.framework == "jax" and made.uses_x64:
        first.append('jax.config.update("jax_enable_x64", True)')
    lines = [*dict.fromkeys(first)]
    differentiated = quantity != "value" and made.differentiated
    if not differentiated and made.text.count(_X) == 1:
        text = made.text.replace(_X, made.logits)
    else:
        leaf = differentiated and made.framework == "torch"
        lines += [f"x = {_leaf(made.logits) if leaf else made.logits}", *made.statements]
        text = made.text.replace(_X, "x")
    if not differentiated:
        return [*lines, f"print({_shown(text, shown, made.framework)})"]
    whole = text if made.is_scalar else _summed(text, shown, made.framework)
    return [*lines, *_DERIVATIVES[made.framework](whole, quantity, shown)]


_X = "\N{MATHEMATICAL ITALIC SMALL X}"
"""Stands for the logits until it is known whether they need a name; no code has this letter."""


def _leaf(logits: str) -> str:
    """A tensor with a gradient of its own; a view is no call to which an argument can be added."""
    return f"{logits[:-1]}, requires_grad=True)" if logits.endswith(")") else f"{logits}.requires_grad_()"


def _shown(text: str, shown: str, framework: str) -> str:
    if shown == DTYPE:
        return f"{text}.dtype"
    if shown == SHAPE:
        return f"tuple({text}.shape)"
    if framework in ("tensorflow", "paddle"):
        text += ".numpy()"
    return f"{text}.item()" if shown == NUMBER else f"{text}.reshape(-1).tolist()"


def _summed(text: str, shown: str, framework: str) -> str:
    """One number to differentiate; of one element PyTorch and TensorFlow take it as it is."""
    as_it_is = framework == "tensorflow" or (framework in ("torch", "paddle") and shown == NUMBER)
    return text if as_it_is else f"{text}.sum()"


def _torch_derivative(text: str, quantity: str, shown: str) -> list[str]:
    if quantity == "gradient":
        return [f"{text}.backward()", f"print({_shown('x.grad', shown, 'torch')})"]
    first = f"y = torch.autograd.grad({text}, x, create_graph=True)[0]"
    second = f"torch.autograd.grad({'y' if shown == NUMBER else 'y.sum()'}, x)[0]"
    return [first, f"print({_shown(second, shown, 'torch')})"]


def _jax_derivative(text: str, quantity: str, shown: str) -> list[str]:
    first = f"jax.grad(lambda x: {text})"
    whole = f"{first}(x)" if quantity == "gradient" else f"jax.grad(lambda x: {first}(x).sum())(x)"
    return [f"print({_shown(whole, shown, 'jax')})"]


def _tensorflow_derivative(text: str, quantity: str, shown: str) -> list[str]:
    return [
        "tape = tf.GradientTape().__enter__()",
        "tape.watch(x)",
        f"y = {text}",
        f"print({_shown('tape.gradient(y, x)', shown, 'tensorflow')})",
    ]


def _paddle_derivative(text: str, quantity: str, shown: str) -> list[str]:
    return ["x.stop_gradient = False", f"{text}.backward()", f"print({_shown('x.grad', shown, 'paddle')})"]


_DERIVATIVES: Mapping[str, Callable[[str, str, str], list[str]]] = {
    "torch": _torch_derivative,
    "jax": _jax_derivative,
    "tensorflow": _tensorflow_derivative,
    "paddle": _paddle_derivative,
}


def _of_mapping(target: PythonTarget, entry: Implementation, call: Call, quantity: str) -> Expression | None:
    signature = target.profile.signature
    found = recorded(target, call, "value")
    framework = target.library.adapter.name
    if found is None or framework not in IMPORTS:
        return None
    _, calls = found
    own_gradient = quantity == "gradient" and target.profile.conventions["gradient"] == "function"
    path = signature.gradient if own_gradient and signature.gradient else entry.target or entry.function
    module, _, name = path.partition(":")
    first = name.partition(".")[0]
    arguments, keywords = calls[1 if signature.construct else 0]
    if signature.construct:
        name += f"({_keywords(calls[0][1], target, entry)})"
    named = {own: key for key, own in signature.arguments.items()}
    order = [key for key in signature.order if key not in signature.arguments]
    logits, parts = "", []
    roles = [*zip(order, arguments, strict=False), *((named.get(key, ""), value) for key, value in keywords.items())]
    keys = [None] * len(arguments) + list(keywords)
    omitted = {} if signature.construct else _defaults(target, entry)
    x64 = False
    for key, (role, value) in zip(keys, roles, strict=True):
        if key is not None and not role and _is_default(key, value, omitted, signature.constants):
            continue
        text = array_text(value, framework) if is_array(value) else value_text(value)
        x64 |= is_array(value) and as_numpy(value)[1] in ("float64", "int64")
        if role == "logits":
            logits, text = text, _X
        parts.append(text if key is None else f"{key}={text}")
    text = f"{name}({', '.join(parts)})"
    if signature.pair:
        text += "[1]" if own_gradient else "[0]"
    if signature.returns == "classes" and quantity == "value" and call.reduction == "none":
        text += ".sum()"
    imports = (f"from {module} import {first}",)
    return Expression(imports, text, logits, (), framework, not own_gradient, x64, call.reduction != "none")


def binding_of(target: Target) -> Any:
    """The instance of a class of bindings/ by which an implementation is called, or None."""
    # Of an objective the function is one around its derivatives.
    return getattr(getattr(target, "derivatives", getattr(target, "function", None)), "__self__", None)


def _of_binding(target: PythonTarget, call: Call, quantity: str) -> Expression | None:
    """What the class itself says of how its call is written; docs: implementations/README.md."""
    bound = binding_of(target)
    expression = getattr(bound, "expression", None)
    framework = getattr(bound, "framework", target.library.adapter.name)
    if bound is None or expression is None or framework not in IMPORTS:
        return None
    if call.reduction != "none" and not _takes_reduction(expression):
        return None
    numbers = canonical_keywords(call, target.profile)
    texts = {
        name: array_text(value, framework) if is_array(value) else value_text(value) for name, value in numbers.items()
    }
    texts.setdefault("reduction", value_text(call.reduction))
    differentiated = True
    if callable(expression):
        text = expression(quantity, **texts)
        differentiated = quantity != "value" and getattr(bound, "differentiated", True)
    elif isinstance(expression, Mapping):
        if quantity not in expression:
            return None
        text, differentiated = expression[quantity].format(**texts), False
    else:
        text = expression.format(**texts)
    imports = tuple(part.strip() for part in getattr(bound, "imports", "").split(";") if part.strip())
    logits = array_text(call.logits, framework)
    targets = array_text(own_targets(call, target.profile), framework)
    x64 = call.logits.dtype.name == "float64"
    return Expression(
        imports, text, logits, (f"t = {targets}",), framework, differentiated, x64, call.reduction != "none"
    )


def _takes_reduction(expression: Any) -> bool:
    """Whether an expression says how it is reduced; a method is asked with the reduction by its name."""
    if isinstance(expression, Mapping):
        return False
    return callable(expression) or "{reduction}" in expression


def _keywords(keywords: Mapping[str, Any], target: PythonTarget, entry: Implementation) -> str:
    omitted = _defaults(target, entry)
    constants = target.profile.signature.constants
    framework = target.library.adapter.name
    return ", ".join(
        f"{key}={array_text(value, framework) if is_array(value) else value_text(value)}"
        for key, value in keywords.items()
        if not _is_default(key, value, omitted, constants)
    )


def _is_default(key: str, value: Any, defaults: Mapping[str, Any], constants: Mapping[str, Any]) -> bool:
    if key in constants or key not in defaults or is_array(value) or is_array(defaults[key]):
        return False
    return bool(type(defaults[key]) in (type(value), int, float) and defaults[key] == value)


def _defaults(target: PythonTarget, entry: Implementation) -> dict[str, Any]:
    """Arguments that need not be written, because the function has the same number by itself."""
    function: Any = target.function
    function = getattr(function, "function", function)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    return {name: one.default for name, one in parameters.items() if one.default is not inspect.Parameter.empty}
