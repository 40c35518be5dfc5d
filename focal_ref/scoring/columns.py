"""What the columns of a file or the arrays of a store must be, with the texts that say what they are instead."""

from focal_ref._arguments import LABEL_DTYPES, LOGIT_DTYPES
from focal_ref.scoring.errors import ScoringError
from focal_ref.scoring.options import Options

GROUPS = {"string": "text", "large_string": "text", "string_view": "text", "bool": "booleans"}
GROUPS |= {f"{sign}int{width}": "integers" for sign in ("", "u") for width in (8, 16, 32, 64)}
"""Types that a column to group by may have."""


def check_logits(path: str, options: Options, dtype: str, *, is_list: bool) -> None:
    """Logits are floats: one a row, or a list of them."""
    kind = f"lists of {dtype}" if is_list else dtype
    allowed = [name for name in LOGIT_DTYPES if name != "bfloat16"]
    if dtype not in allowed:
        raise ScoringError(
            f"{path}: logits {options.logits!r} are {kind}; allowed are {', '.join(allowed)}, and lists of them"
        )
    if options.loss != "binary" and not is_list:
        raise ScoringError(
            f"{path}: logits {options.logits!r} are {kind}, one a row; with labels, each row holds one logit a class"
        )
    if options.classes is not None and not is_list:
        raise ScoringError(f"classes: got {options.classes}; logits {options.logits!r} of {path} are one a row")


def check_targets(path: str, options: Options, dtype: str, *, is_list: bool, lists: bool) -> None:
    """Targets are as many as logits, or one label a list of logits."""
    kind = f"lists of {dtype}" if is_list else dtype
    if options.loss != "binary":
        if is_list or dtype not in LABEL_DTYPES:
            raise ScoringError(
                f"{path}: labels {options.targets!r} are {kind}; one integer a row: {', '.join(LABEL_DTYPES)}"
            )
        return
    if is_list is not lists:
        other = "lists" if lists else "one a row"
        hint = "; integers that name a class need loss='labels' (--labels)" if lists else ""
        raise ScoringError(
            f"{path}: targets {options.targets!r} are {kind} and logits {options.logits!r} are {other}; there is one "
            f"target a logit{hint}"
        )
    if not (dtype == "bool" or dtype.startswith(("int", "uint", "float"))):
        raise ScoringError(f"{path}: targets {options.targets!r} are {kind}; allowed are bool, integers and floats")
    if options.encoding == "signed" and (dtype == "bool" or dtype.startswith("uint")):
        raise ScoringError(f"{path}: targets {options.targets!r} are {kind}, which cannot hold -1 (encoding='signed')")


def check_group(path: str, name: str, dtype: str) -> str:
    """Groups are text, integers or booleans; says which."""
    if dtype not in GROUPS:
        raise ScoringError(f"{path}: group_by {name!r} is {dtype}; allowed are text, integers and booleans")
    return GROUPS[dtype]


def check_same(path: str, name: str, kind: str, types: dict[str, str]) -> None:
    """A column is of one kind in all files."""
    if types.setdefault(name, kind) != kind:
        raise ScoringError(f"{path}: column {name!r} holds {kind}, in the files before it {types[name]}")


def check_classes(path: str, options: Options, found: int | None) -> Options:
    """The options with the number of logits a row."""
    if found is None and options.classes is None:
        raise ScoringError(f"{path}: no list of {options.logits!r} says how many classes there are; pass classes")
    if found is not None and options.classes not in (None, found):
        raise ScoringError(f"{path}: a list of {options.logits!r} has {found} elements, not {options.classes}")
    if found == 0:
        raise ScoringError(f"{path}: lists of {options.logits!r} have no elements; each holds one logit a class")
    return options if found is None else options.with_classes(found)
