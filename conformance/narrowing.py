"""Shrinks a waiver file to exactly what fails; it never covers more than before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from focal_ref.conformance.waivers import Facts, Failure, Waiver, WaiverFile, pattern_of


@dataclass(frozen=True)
class Change:
    """What becomes of one waiver.

    Attributes
    ----------
    waiver
        As it is.
    parts
        By what to replace it: pairs of formats and vectors, () for those that are left out; none to drop it.
    text
        What is done and why, or what has to be done by hand.
    """

    waiver: Waiver
    parts: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    text: str

    @property
    def is_edit(self) -> bool:
        """Whether the file changes."""
        return self.parts != ((self.waiver.dtypes, self.waiver.vectors),)


def narrowed(file: WaiverFile, items: Sequence[Failure], left_out: Sequence[str], facts: Facts) -> list[Change]:
    """What has to change, waiver by waiver; those that fit are not listed.

    Parameters
    ----------
    file
        The expected failures.
    items
        Everything that was run.
    left_out
        Requirements that were not run in full, of whose waivers nothing can be said.
    facts
        What the run proved.
    """
    changes = []
    for waiver in file.waivers:
        change = _narrowed(waiver, [item for item in items if item.requirement == waiver.requirement], left_out, facts)
        if change is not None:
            changes.append(change)
    return changes


def _narrowed(waiver: Waiver, items: Sequence[Failure], left_out: Sequence[str], facts: Facts) -> Change | None:
    same = ((waiver.dtypes, waiver.vectors),)
    if waiver.requirement in left_out:
        return Change(waiver, same, "not run in full; left as it is")
    if not waiver.in_force(facts):
        return None
    if waiver.expires < facts.today:
        return Change(waiver, same, f"expired on {waiver.expires}; renew or remove it by hand")
    covered = [item for item in items if waiver.covers(item.requirement, item.dtype)]
    mine = {item.dtype: _mine(waiver, item) for item in covered}
    failing = {dtype: cases for dtype, cases in mine.items() if cases}
    if not failing:
        return Change(waiver, (), f"dropped: nothing fails as {waiver.signature!r} any more")
    everywhere = len(failing) == len(covered)
    dtypes = waiver.dtypes if everywhere and set(waiver.dtypes) <= set(failing) else tuple(failing)
    vectors = {item.dtype: _vectors(waiver, item, mine[item.dtype]) for item in covered if mine[item.dtype]}
    # Vectors of several formats may stand in one list, as their ids name the format; other cases are called the same.
    union = _union(waiver, vectors)
    exact = all(_selected(union, item) == set(mine[item.dtype]) for item in covered if mine[item.dtype])
    parts = ((dtypes, union),) if exact else tuple(((dtype,), named) for dtype, named in vectors.items())
    if parts == same:
        return None
    return Change(waiver, parts, _explained(waiver, parts))


def _union(waiver: Waiver, vectors: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The vectors of every format, those of the waiver first; () if in one of them all cases fail."""
    if not all(vectors.values()):
        return ()
    named = dict.fromkeys(glob for globs in vectors.values() for glob in globs)
    kept = [glob for glob in waiver.vectors if glob in named]
    return (*kept, *(glob for glob in named if glob not in kept))


def _selected(globs: Sequence[str], item: Failure) -> set[str]:
    patterns = [pattern_of(glob) for glob in globs]
    every = {*item.passing, *(case for cases in item.failing.values() for case in cases)}
    return {case for case in every if not globs or any(pattern.fullmatch(case) for pattern in patterns)}


def _mine(waiver: Waiver, item: Failure) -> tuple[str, ...]:
    return tuple(case for case in item.failing.get(waiver.signature, ()) if waiver.selects(case))


def _vectors(waiver: Waiver, item: Failure, mine: Sequence[str]) -> tuple[str, ...]:
    """Globs for exactly some cases of an item; () for all of them, or the waiver's own if they are exact."""
    every = {*item.passing, *(case for cases in item.failing.values() for case in cases)}
    if {case for case in every if waiver.selects(case)} == set(mine):
        return tuple(glob for glob in waiver.vectors if any(pattern_of(glob).fullmatch(case) for case in mine))
    globs: list[str] = []
    for case in mine:
        if not any(pattern_of(glob).fullmatch(case) for glob in globs):
            globs.append(_largest_glob(case, set(mine), every, waiver.vectors))
    return tuple(globs)


def _largest_glob(case: str, mine: set[str], every: set[str], old: Sequence[str]) -> str:
    """The shortest beginning of a case that only cases which fail have, if the old globs have it as well."""
    parts = case.split("/")
    for count in range(1, len(parts)):
        beginning = "/".join(parts[:count]) + "/"
        if all(other in mine for other in every if other.startswith(beginning)) and _within(beginning, old):
            alike = [other for other in mine if other.startswith(beginning)]
            return f"{beginning}*" if len(alike) > 1 else case
    return case


def _within(beginning: str, old: Sequence[str]) -> bool:
    """Whether a glob with that beginning is part of what the old ones cover, whatever vectors are added."""
    return not old or any(
        glob.count("*") == 1 and glob.endswith("*") and beginning.startswith(glob[:-1]) for glob in old
    )


def _explained(waiver: Waiver, parts: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> str:
    texts = []
    dtypes = [dtype for named, _ in parts for dtype in named]
    if dtypes != list(waiver.dtypes):
        texts.append(f"when.dtype narrowed to {', '.join(dtypes)}")
    if any(named != waiver.vectors for _, named in parts):
        texts.append("vectors narrowed to those that fail")
    if len(parts) > 1:
        texts.append(f"split into {len(parts)}, as other cases fail in each format")
    return "; ".join(texts)


def rewritten(text: str, changes: Sequence[Change]) -> str:
    """The text of a waiver file after the changes; comments and everything else stay."""
    import tomlkit

    document = tomlkit.parse(text)
    tables = document["waiver"]
    by_number: Mapping[int, Change] = {change.waiver.number: change for change in changes if change.is_edit}
    # From the last on, so that numbers stay those of the file.
    for number in sorted(by_number, reverse=True):
        change = by_number[number]
        position = number - 1
        copies = [tomlkit.parse(tables[position].as_string()) for _ in change.parts[1:]]
        if not change.parts:
            del tables[position]
            continue
        for (dtypes, vectors), table in zip(change.parts, [tables[position], *copies], strict=True):
            _set(table, dtypes, vectors)
        for copy in reversed(copies):
            fresh = tomlkit.table()
            for key, value in copy.items():
                fresh[key] = value
            tables.insert(position + 1, fresh)
    if not len(tables):
        document["waiver"] = tomlkit.array()
    return tomlkit.dumps(document)


def _set(table: Any, dtypes: tuple[str, ...], vectors: tuple[str, ...]) -> None:
    import tomlkit

    if vectors:
        array = tomlkit.array()
        array.extend(vectors)
        table["vectors"] = array.multiline(len(vectors) > 1)
    elif "vectors" in table:
        del table["vectors"]
    if dtypes:
        when = table["when"] if "when" in table else tomlkit.inline_table()
        when["dtype"] = dtypes[0] if len(dtypes) == 1 else list(dtypes)
        table["when"] = when
