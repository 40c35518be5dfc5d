"""How the suite's canonical call maps onto a function: the table [signature] of a profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from focal_ref.conformance.family.functions import FUNCTIONS
from focal_ref.conformance.profiles.declarations import Table, listed

PARAMETERS = ("alpha", "gamma", "beta", "gamma_positive", "gamma_negative", "clip")
"""Hyper-parameters of the canonical call, each the name of an argument."""

OPTIONS = ("reduction", "encoding", "weights", "normalizer", "precision")
"""Other keyword arguments of the canonical call, likewise."""

TARGETS = ("floating", "same", "integer", "signed", "labels", "one-hot")
RETURNS = ("elements", "rows", "classes", "flat", "sum")
REDUCTIONS = ("none", "mean", "sum")
INPUTS = ("logits", "targets")


@dataclass(frozen=True)
class Signature:
    """How the canonical call maps onto a function; docs/profiles.md has an example of each.

    Attributes
    ----------
    function
        Default ``package.module:function``, or a class for `construct`.
    binding
        ``package.module:Class`` of a class that takes the canonical call, where a mapping cannot say it.
    gradient
        ``package.module:function`` that takes what the function takes and returns the derivative.
    construct
        Whether keyword arguments go to a class, whose instance is then called with logits and targets.
    order
        Order of the positional arguments.
    arguments
        Names of logits and targets, where these are given by keyword.
    alpha, gamma, beta, gamma_positive, gamma_negative, clip
        Name of the keyword argument, or "" where the function has none.
    reduction, encoding, weights, normalizer, precision
        Likewise.
    constants
        Keyword arguments of every call.
    fixed
        Values of hyper-parameters that the function has no argument for.
    alpha_off, alpha_on
        Keyword arguments that switch alpha off and on, for conventions.alpha_off = "flag".
    reductions
        What the function calls "none", "mean" and "sum", where it has other names.
    targets
        "floating" to convert targets to the logits' dtype, "same" to hand them over as they are, "integer" for integers
        in the logits' shape, "signed" for -1 and +1 in the logits' dtype, "labels" for integer labels, "one-hot" to
        make labels one-hot in the logits' dtype.
    class_axis
        Where a softmax, or labels, have their classes.
    returns
        "elements": one result for each logit; "rows": one for each row of a softmax; "classes": an array in the
        logits' shape whose sum over the classes is the loss of a row; "flat": elements in one dimension; "sum": one
        number, the sum over the elements.
    pair
        Whether it returns a pair, whose first part is the loss. With conventions.gradient = "function" the second one
        is the derivative of each element, or row, with respect to the logits.
    minimum_rank
        Logits of fewer dimensions get leading ones.
    trailing_axis
        Whether elements get a last axis of one, over which the function averages.
    iou
        Of a matcher: its function of two sets of boxes, as ``package.module:function``, or "" where it has none.
    decode
        Of a box coder: its function of deltas and anchors; `function` is the one of boxes and anchors.
    """

    function: str = ""
    binding: str = ""
    gradient: str = ""
    construct: bool = False
    order: tuple[str, ...] = INPUTS
    arguments: Mapping[str, str] = field(default_factory=dict)
    alpha: str = ""
    gamma: str = ""
    beta: str = ""
    gamma_positive: str = ""
    gamma_negative: str = ""
    clip: str = ""
    reduction: str = ""
    encoding: str = ""
    weights: str = ""
    normalizer: str = ""
    precision: str = ""
    constants: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    alpha_off: Mapping[str, Any] = field(default_factory=dict)
    alpha_on: Mapping[str, Any] = field(default_factory=dict)
    reductions: Mapping[str, Any] = field(default_factory=dict)
    targets: str = "floating"
    class_axis: int = -1
    returns: str = ""
    pair: bool = False
    minimum_rank: int = 0
    trailing_axis: bool = False
    iou: str = ""
    decode: str = ""

    @property
    def takes_labels(self) -> bool:
        """Whether its targets are labels, as integers or one-hot."""
        return self.targets in ("labels", "one-hot")


def loss_signature(table: Table) -> Signature:
    """The signature of a loss, from its table."""
    known = tuple(one.name for one in fields(Signature) if one.name not in ("iou", "decode"))
    table.keys((), known)
    names = {name: table.text(name) for name in (*PARAMETERS, *OPTIONS)}
    names |= {name: _path(table, name) for name in ("function", "binding", "gradient")}
    order = table.typed("order", list, list(INPUTS), "the order of ['logits', 'targets']")
    if sorted(order) != sorted(INPUTS):
        raise table.error("order", f"got {order!r}; ['logits', 'targets'] or ['targets', 'logits']")
    rank = table.typed("minimum_rank", int, 0, "a number of dimensions, 0 or more")
    if rank < 0:
        raise table.error("minimum_rank", f"got {rank!r}; a number of dimensions, 0 or more")
    return Signature(
        **names,
        construct=table.typed("construct", bool, False, "true or false"),
        order=tuple(order),
        arguments=_inner(table, "arguments", INPUTS, str, "the name of an argument"),
        constants=table.table("constants"),
        fixed=_inner(table, "fixed", PARAMETERS, (int, float), "a number"),
        alpha_off=table.table("alpha_off"),
        alpha_on=table.table("alpha_on"),
        reductions=_inner(table, "reductions", REDUCTIONS, (str, int), "what the function calls it"),
        targets=table.one_of("targets", TARGETS, "floating"),
        class_axis=table.typed("class_axis", int, -1, "an axis"),
        returns=table.one_of("returns", RETURNS, "") if "returns" in table.values else "",
        pair=table.typed("pair", bool, False, "true or false"),
        minimum_rank=rank,
        trailing_axis=table.typed("trailing_axis", bool, False, "true or false"),
    )


def detection_signature(table: Table, second: str = "") -> Signature:
    """The signature of a matcher, a box coder or an overlap; `second` is the key of another function, if it has one."""
    names = ("function", second) if second else ("function",)
    table.keys(names)
    paths: dict[str, Any] = {name: _path(table, name) for name in names}
    return Signature(**paths)


def _path(table: Table, name: str) -> str:
    path = table.text(name)
    if path and not all(path.partition(":")):
        raise table.error(name, f"got {path!r}; it is package.module:name")
    return path


def check_loss(
    table: Table, signature: Signature, function: str, conventions: Mapping[str, Any], library: str
) -> Signature:
    """Refuse a signature that does not fit what the conventions describe; fill in what is returned by default."""
    if library != "process" and not (signature.function or signature.binding):
        raise table.error("function", "not declared; it is package.module:function")
    rows = function == "softmax_loss"
    returns = signature.returns or ("rows" if rows else "elements")
    allowed = ("rows", "classes", "sum") if rows else ("elements", "flat", "sum")
    if returns not in allowed:
        raise table.error("returns", f"got {returns!r}; allowed are {listed(allowed)}, for what is a {function}")
    if rows and not signature.takes_labels and signature.targets != "same":
        raise table.error("targets", f"got {signature.targets!r}; allowed are same, labels, one-hot, for a softmax")
    if signature.targets == "integer" and conventions["soft_targets"] != "unsupported":
        raise table.error("targets", "got 'integer'; conventions.soft_targets is then 'unsupported'")
    if signature.gradient and (signature.pair or conventions["gradient"] != "function"):
        raise table.error("gradient", "named; conventions.gradient is then 'function', and signature.pair false")
    if library != "process" and not signature.binding:
        _check_parameters(table, signature, function, conventions)
    return Signature(**{**vars(signature), "returns": returns})


def _check_parameters(table: Table, signature: Signature, function: str, conventions: Mapping[str, Any]) -> None:
    wanted = FUNCTIONS["loss" if function == "loss_from_labels" else function].parameters
    for name in wanted:
        if name == "alpha" and conventions["alpha"] == "none":
            continue
        if bool(getattr(signature, name)) == (name in signature.fixed):
            raise table.error(name, "name the argument, or give the value at which it stands in signature.fixed")
    for name in PARAMETERS:
        if name not in wanted and (getattr(signature, name) or name in signature.fixed):
            raise table.error(name, f"a {function} has no {name}; it has {listed(wanted)}")
    if conventions["alpha"] == "none" and (signature.alpha or "alpha" in signature.fixed):
        raise table.error("alpha", "named, but conventions.alpha is 'none'")
    flags = bool(signature.alpha_off) and bool(signature.alpha_on)
    if (conventions["alpha_off"] == "flag") != flags or bool(signature.alpha_off) != bool(signature.alpha_on):
        raise table.error("alpha_off", "alpha_off and alpha_on are given exactly if conventions.alpha_off is 'flag'")
    if not signature.reduction and (conventions["mean"], conventions["sum"]) != ("unsupported", "unsupported"):
        # One number has one meaning: a sum or a mean.
        alone = signature.returns == "sum" and "unsupported" in (conventions["mean"], conventions["sum"])
        if not alone:
            raise table.error("reduction", "not named; conventions.mean and conventions.sum are then 'unsupported'")


def _inner(table: Table, key: str, names: tuple[str, ...], kind: Any, what: str) -> Mapping[str, Any]:
    inner = Table(table.table(key), table.source, f"{table.place}.{key}")
    inner.keys((), names)
    for name in inner.values:
        inner.typed(name, kind, None, f"it is {what}")
    return inner.values
