"""What a callable's signature says: which arguments are predictions, targets, hyper-parameters and options."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

NAMES: Mapping[str, tuple[str, ...]] = {
    "logits": (
        *("logits", "logit", "inputs", "input", "input_", "pred", "preds", "prediction", "predictions", "predicted"),
        *("output", "outputs", "y_pred", "y_hat", "yhat", "ypred", "y_score", "scores", "score", "x", "z", "p", "prob"),
        *("probs", "probability", "probabilities", "cls_score", "cls_logits", "estimates", "confidence", "out"),
    ),
    "targets": (
        *("targets", "target", "labels", "label", "y", "y_true", "ytrue", "gt", "t", "truth", "ground_truth"),
        *("gt_labels", "expected", "classes", "true", "onehot", "one_hot", "annotations", "tgt"),
    ),
    "alpha": (
        *(
            "alpha",
            "alpha_",
            "alphas",
            "balance",
            "balancing",
            "alpha_weight",
            "alpha_t",
            "focal_alpha",
            "class_weight",
        ),
        *("class_weights", "weight", "weights", "pos_weight", "pos_alpha", "w", "a", "class_alpha", "balance_factor"),
    ),
    "gamma": (
        *("gamma", "gamma_", "focusing", "focus", "focal_gamma", "focusing_parameter", "focal_power", "exponent"),
        *("power", "g", "modulation", "focal", "gamma_exp"),
    ),
    "beta": ("beta", "beta_", "shift", "negative_power", "b"),
    "gamma_positive": ("gamma_positive", "gamma_pos", "pos_gamma", "gamma_p"),
    "gamma_negative": ("gamma_negative", "gamma_neg", "neg_gamma", "gamma_n"),
    "clip": ("clip", "margin", "prob_margin", "probability_margin"),
    "reduction": (
        "reduction",
        "reduce",
        "size_average",
        "agg",
        "aggregate",
        "aggregation",
        "average",
        "reduction_type",
    ),
    "from_logits": (
        *("from_logits", "logits_input", "with_logits", "apply_sigmoid", "use_sigmoid", "sigmoid", "apply_softmax"),
        *("use_softmax", "is_logits", "input_is_logits", "activated", "apply_nonlin", "apply_activation"),
    ),
    "classes": ("num_classes", "n_classes", "nclasses", "num_class", "class_count", "k", "n_class", "classes_num"),
    "axis": ("axis", "dim", "class_axis", "class_dim", "channel_axis"),
}
"""Names by which arguments are known, in lower case."""

REDUCED = ("none", "mean", "sum", "average", "avg", "batchmean", "elementwise")
"""What an argument under another name is by default, if it is the one of the reduction."""

HYPER = ("alpha", "gamma", "beta", "gamma_positive", "gamma_negative", "clip")


@dataclass(frozen=True)
class Reading:
    """What was read from a signature.

    Attributes
    ----------
    construct
        Whether hyper-parameters go to a class, whose instance takes the data.
    order
        "logits" and "targets" as far as their names tell, in the order of the arguments; empty where they do not.
    arguments
        Names of logits and targets where they can be given by keyword alone.
    roles
        From the role to the names of arguments that may have it, the likeliest first.
    numbers
        Other arguments whose default is a number: one of them may be a hyper-parameter under a name of its own.
    flags
        Arguments whose default is a boolean.
    required
        Other arguments without a default.
    defaults
        Of all arguments that have one.
    open
        Whether any keyword is accepted.
    """

    construct: bool
    order: tuple[str, ...]
    arguments: Mapping[str, str]
    roles: Mapping[str, tuple[str, ...]]
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    open: bool = False


class Unreadable(ValueError):
    """A callable whose signature does not say how to call it."""


def read(function: Callable[..., Any]) -> Reading:
    """Read the signature of a function, of an object that can be called, or of a class with such objects.

    Raises
    ------
    Unreadable
        If there is no signature, or no two arguments for predictions and targets.
    """
    construct = inspect.isclass(function)
    # What an instance takes stands in its class: the __call__ of a module hands anything on.
    instance = not construct and not inspect.isroutine(function) and not isinstance(function, partial)
    of_class = construct or (instance and not hasattr(function, "__signature__"))
    method = _called(function if construct else type(function)) if of_class else function
    data = _parameters(method, skip_self=of_class)
    options = _parameters(function, skip_self=False) if construct else data
    arrays = _arrays(data)
    order = tuple(role for role in map(_data_role, arrays) if role)
    by_keyword = {
        role: parameter.name
        for parameter in arrays
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and (role := _data_role(parameter))
    }
    if by_keyword and set(by_keyword) != {"logits", "targets"}:
        names = [parameter.name for parameter in arrays]
        raise Unreadable(f"which of {', '.join(names)} are predictions and targets is not to be seen from their names")
    known = {parameter.name for parameter in arrays}
    named = [
        parameter
        for parameter in options
        if parameter.name not in (known if not construct else ())
        and parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    roles = {role: _of_role(role, named) for role in NAMES if role not in ("logits", "targets")}
    others = (one.name for one in named if _is_reduction(one.name.lower(), one.default))
    roles["reduction"] = tuple(dict.fromkeys([*roles["reduction"], *others]))
    taken = {name for names in roles.values() for name in names}
    rest = [parameter for parameter in named if parameter.name not in taken]
    empty = inspect.Parameter.empty
    return Reading(
        construct,
        order if len(set(order)) == 2 else (),
        by_keyword,
        {role: names for role, names in roles.items() if names},
        tuple(one.name for one in rest if _is_number(one.default)),
        tuple(one.name for one in named if isinstance(one.default, bool)),
        tuple(one.name for one in rest if one.default is empty),
        {one.name: one.default for one in named if one.default is not empty},
        any(one.kind is inspect.Parameter.VAR_KEYWORD for one in options),
    )


def _called(kind: Any) -> Callable[..., Any]:
    """The method that takes predictions and targets."""
    for name in ("forward", "call", "__call__"):
        method: Any = getattr(kind, name, None)
        # Every class can be called by its metaclass, and every nn.Module has a __call__ that hands on.
        own = method is not None and inspect.isroutine(method) and not isinstance(method, type(type.__call__))
        if own and len(_parameters(method, skip_self=True)) >= 2:
            return method  # type: ignore[no-any-return]
    raise Unreadable("the class has no forward, call or __call__ that takes predictions and targets")


def _parameters(function: Callable[..., Any], *, skip_self: bool) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise Unreadable(
            f"it has no signature that can be read ({error}); write a Python function around it"
        ) from error
    return parameters[1:] if skip_self else parameters


def _arrays(parameters: Sequence[inspect.Parameter]) -> list[inspect.Parameter]:
    """The two arguments for predictions and targets."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    plain = [one for one in parameters if one.kind not in variadic]
    named = [one for one in plain if _data_role(one) and not _is_number(one.default)]
    if {_data_role(one) for one in named} == {"logits", "targets"}:
        first = {role: next(one for one in named if _data_role(one) == role) for role in ("logits", "targets")}
        return [one for one in plain if one in first.values()]
    positional = [
        one
        for one in plain
        if one.kind is not inspect.Parameter.KEYWORD_ONLY and one.default is inspect.Parameter.empty
    ]
    if len(positional) >= 2:
        return positional[:2]
    if any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters):
        return []
    raise Unreadable("it does not take two arrays, predictions and targets")


def _data_role(parameter: inspect.Parameter) -> str:
    name = parameter.name.lower().strip("_")
    for role in ("targets", "logits"):
        if name in NAMES[role] or (len(name) > 3 and any(len(one) > 3 and one in name for one in NAMES[role])):
            return role
    return ""


def _of_role(role: str, parameters: Sequence[inspect.Parameter]) -> tuple[str, ...]:
    """Arguments with one of the role's names, in the order of these names; then those that contain its first."""
    by_name = {parameter.name.lower().strip("_"): parameter.name for parameter in parameters}
    exact = [by_name[name.strip("_")] for name in NAMES[role] if name.strip("_") in by_name]
    main = NAMES[role][0]
    others = {name.strip("_") for other, names in NAMES.items() if other != role for name in names}
    containing = [own for name, own in by_name.items() if main in name and name not in others]
    return tuple(dict.fromkeys([*exact, *containing]))


def _is_reduction(name: str, default: Any) -> bool:
    """Whether an argument has to do with a reduction, by a part of its name or by what it is otherwise."""
    return isinstance(default, str) and (default.lower() in REDUCED or "reduc" in name or "aggreg" in name)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
