"""Which of cosmic-ray's operators are used, and which of their mutants are left out."""

import ast
import io
import random
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code

ARITHMETIC = (
    ("Add", "Sub"),
    ("Sub", "Add"),
    ("Mul", "Div"),
    ("Div", "Mul"),
    ("FloorDiv", "Mul"),
    ("Mod", "FloorDiv"),
    ("Pow", "Mul"),
    ("LShift", "RShift"),
    ("RShift", "LShift"),
    ("BitAnd", "BitOr"),
    ("BitOr", "BitAnd"),
    ("BitXor", "BitAnd"),
)
"""One replacement an operator: cosmic-ray's other ten are found by whatever finds this one, or end in a TypeError."""

COMPARISONS = (
    ("Lt", "LtE"),
    ("Lt", "Gt"),
    ("LtE", "Lt"),
    ("LtE", "GtE"),
    ("Gt", "GtE"),
    ("Gt", "Lt"),
    ("GtE", "Gt"),
    ("GtE", "LtE"),
    ("Eq", "NotEq"),
    ("NotEq", "Eq"),
    ("Is", "IsNot"),
    ("IsNot", "Is"),
)
"""The boundary, and the reverse."""

OTHERS = (
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Invert",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ZeroIterationForLoop",
)

NAMES = frozenset(
    [f"core/ReplaceBinaryOperator_{old}_{new}" for old, new in ARITHMETIC]
    + [f"core/ReplaceComparisonOperator_{old}_{new}" for old, new in COMPARISONS]
    + [f"core/{name}" for name in OTHERS]
)

FEWEST = 6
"""Mutants of a file that has so many are always tried."""

SPEED = ("cache", "lru_cache")
"""Decorators without which results are the same, only later."""


@dataclass(frozen=True)
class Site:
    """Where an operator applies."""

    operator: str
    occurrence: int
    line: int


@dataclass(frozen=True)
class Change:
    """What a mutant changes: one line, or the first of several."""

    operator: str
    line: int
    was: str
    became: str


def sites_of(path: Path) -> list[Site]:
    """Where mutants of a file are made, in the order of the file."""
    source = path.read_text()
    lines = source.splitlines()
    computed = _computed(source)
    sites = []
    for item in _all_work_items([path], {}):
        (mutation,) = item.mutations
        line = mutation.start_pos[0]
        if mutation.operator_name not in NAMES:
            continue
        if "BinaryOperator" in mutation.operator_name and mutation.start_pos not in computed:
            continue
        if mutation.operator_name == "core/RemoveDecorator" and lines[line - 1].strip(" @") in SPEED:
            continue
        sites.append(Site(mutation.operator_name, mutation.occurrence, line))
    return sorted(sites, key=lambda site: (site.line, site.operator, site.occurrence))


def sample(sites: list[Site], share: float, seed: int, file: str, done: int = 0) -> list[Site]:
    """A share of the mutants, at least `FEWEST` of them, without those that a smaller share had tried."""
    count = min(len(sites), max(FEWEST, round(share * len(sites))))
    order = list(range(len(sites)))
    random.Random(f"{seed} {file}").shuffle(order)
    return [sites[index] for index in order[done:count]]


def mutated(source: str, site: Site) -> str:
    """The source with one mutation."""
    code = mutate_code(source, cosmic_ray.plugins.get_operator(site.operator)(), site.occurrence)
    if code is None:
        raise LookupError(f"{site}: the file has no such place")
    return str(code)


def described(source: str, code: str, site: Site) -> Change:
    """The line that a mutation changes, before and after."""
    before, after = source.splitlines(), code.splitlines()
    line = next((index for index, (was, became) in enumerate(zip(before, after, strict=False)) if was != became), 0)
    was, became = before[line].strip(), _tidy(after[line].strip())
    if site.operator == "core/RemoveDecorator":
        line, was, became = site.line - 1, before[site.line - 1].strip(), ""
    return Change(site.operator.removeprefix("core/"), line + 1, was, became)


def _tidy(text: str) -> str:
    # cosmic-ray writes a blank before the numbers that it puts in.
    return re.sub(r"(?<=[\[(]) (?=-?\d)|(?<= ) (?=-?\d)", "", text)


def _computed(source: str) -> set[tuple[int, int]]:
    """Positions of the binary operators that are computed: no stars of signatures, no unions in annotations."""
    tree = ast.parse(source)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    for node in ast.walk(tree):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            inside = {id(part) for part in ast.walk(annotation)} if annotation is not None else set()
            found = [operation for operation in found if id(operation) not in inside]
    gaps = [
        ((node.left.end_lineno, node.left.end_col_offset), (node.right.lineno, node.right.col_offset)) for node in found
    ]
    starts = {
        token.start for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.OP
    }
    return {start for start in starts if any(first <= start < last for first, last in gaps)}
