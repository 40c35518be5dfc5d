"""The page in Markdown."""

from collections.abc import Iterable, Sequence

from page_tables import ALL, FAIL, NOT_CLAIMED, PASS, REGIMES, Line, Page, Part, error_text, sentence, subject

from focal_ref.conformance.reports.escaping import markdown_text, safe_text
from focal_ref.conformance.reports.markdown import MARKS

HEAD = """\
# Public implementations

What released implementations compute, as the suite found it: {count} of {packages} packages, {not_run}run {dates}
with focal-ref {versions}. Made by `make implementations` from `implementations/results/`; nothing here is written by
hand. The same page as [HTML](implementations.html).

Each was called as its profile says ([profiles](profiles.md)) and compared with the formula of the conventions that it
declares. `implementations/catalogue.toml` lists them, `implementations/environments/` has every version.

Each fault of a single call has a line to paste into a shell where the implementation is installed: the simplest input
that was found, what it prints, and what is right by the oracle. What no single call shows has a line of the suite, for
the top of a checkout. `implementations/condense.py` executes all of them: the first line of each implementation in a
shell as pasted, the others as `python -c` does, in children of one interpreter that has done their imports. A line that
does not show its fault is an error of the build. What packages print when they are imported is left out.
"""


def markdown(page: Page) -> str:
    """The whole page."""
    packages = len({part.entry.distribution for part in page.run})
    missing = f"{len(page.not_run)} others not run; " if page.not_run else ""
    counts = {"count": len(page.run), "packages": packages, "not_run": missing}
    head = HEAD.format(**counts, dates=page.dates, versions=page.versions)
    blocks = [head, _overview(page), _absent(page), _requirements(page), _errors(page), _conventions(page)]
    blocks += ["## Each implementation\n", *(_part(part) for part in page.parts)]
    return "\n".join(block for block in blocks if block)


def _overview(page: Page) -> str:
    table = [
        [
            f"[{part.entry.name}](#{_anchor(part)})",
            f"`{part.entry.function}`",
            _text(part.version or part.entry.distribution),
            _text(part.library),
            part.data["date"][:10] if part.was_run else "not run",
            *((str(part.count(outcome)) for outcome in (PASS, FAIL, NOT_CLAIMED)) if part.was_run else ["-"] * 3),
        ]
        for part in page.parts
    ]
    head = ["implementation", "function", "version", "library, device", "run", "met", "not met", "not claimed"]
    return "## Overview\n\n" + _table(head, table)


def _absent(page: Page) -> str:
    rows = [[_text(one.name), _text(one.reason)] for one in page.catalogue.absent]
    rows += [[_text(part.entry.name), _text(f"{part.data['outcome']}: {part.data['reason']}")] for part in page.not_run]
    return "## Not run\n\n" + _table(["implementation", "reason"], rows) if rows else ""


def _requirements(page: Page) -> str:
    legend = f"{MARKS[PASS]} met, {MARKS[FAIL]} not met in some format, - not claimed, empty: does not concern it."
    blocks = [f"## Implementations by requirements\n\n{legend}\n"]
    for area, names in page.areas.items():
        concerned = [part for part in page.run if any(part.outcome(name) not in ("", NOT_CLAIMED) for name in names)]
        rows = [[part.entry.name, *(_mark(part.outcome(name)) for name in names)] for part in concerned]
        blocks.append(f"### {area}: {subject(area)}\n")
        blocks.append(_table(["implementation", *(name.rpartition("-")[2] for name in names)], rows))
        blocks.append("\n".join(f"- {name}: {_text(sentence(name))}" for name in names) + "\n")
    return "\n".join(blocks)


def _mark(outcome: str) -> str:
    return "-" if outcome == NOT_CLAIMED else MARKS[outcome] if outcome else ""


def _errors(page: Page) -> str:
    blocks = [
        "## Largest errors by regime\n\n"
        "In units in the last place (ulp), of the result whose error is largest in proportion to its budget; in bold"
        " where that is above the budget. Columns are intervals of the margin (2t - 1) x of a hard target, of a"
        " softmax the logit of the label less the logsumexp of the others: badly wrong on the left, easy on the"
        " right.\n"
    ]
    for (dtype, quantity), parts in page.errors.items():
        used = [regime for regime in REGIMES if any(error_text(part, dtype, quantity, regime)[0] for part in parts)]
        rows = [[part.entry.name, *(_error(*error_text(part, dtype, quantity, one)) for one in used)] for part in parts]
        blocks += [f"### {dtype}, {quantity.replace('_', ' ')}\n", _table(["implementation", *used], rows)]
    return "\n".join(blocks)


def _error(text: str, is_within: bool) -> str:
    return text if is_within else f"**{text}**"


def _conventions(page: Page) -> str:
    blocks = [
        "## Conventions\n\nAs their profiles declare them; [profiles](profiles.md) has the formula of each value.\n"
    ]
    rows = [
        [part.entry.name, *(_text(part.data["profile"]["conventions"].get(axis, "")) for axis in ALL)]
        for part in page.losses
    ]
    blocks.append(_table(["implementation", *ALL], rows))
    for kind in dict.fromkeys(part.data["profile"]["kind"] for part in page.others):
        parts = [part for part in page.others if part.data["profile"]["kind"] == kind]
        axes = list(dict.fromkeys(axis for part in parts for axis in part.data["profile"]["conventions"]))
        rows = [
            [part.entry.name, *(_text(part.data["profile"]["conventions"].get(axis, "")) for axis in axes)]
            for part in parts
        ]
        blocks.append(_table([kind, *axes], rows))
    return "\n".join(blocks)


def _part(part: Part) -> str:
    entry = part.entry
    lines = [f"### {entry.name}\n"]
    if not part.was_run:
        return "\n".join([*lines, f"Not run: {_text(part.data['outcome'])}: {_text(part.data['reason'])}.\n"])
    facts = [f"`{entry.function}`", part.version, part.library, f"run {part.data['date']}"]
    lines.append(f"{'; '.join(fact for fact in facts if fact)}. {_text(part.data['verdict']).capitalize()}.\n")
    if entry.note:
        lines.append(f"{_text(entry.note.strip())}\n")
    for cause, names in part.causes:
        numbers = f" ({_text(cause['numbers'])})" if "numbers" in cause else ""
        seen = f" Seen before: {_text(cause['seen'])}." if "seen" in cause else ""
        title = _text(cause["title"].rstrip("."))
        how = f" It {_text(cause['how'])}." if "how" in cause else ""
        lines.append(f"Known fault that fits {_listed(names)}: {title}{numbers}.{how} {_text(cause['advice'])}{seen}\n")
    lines += [_line(line) for line in part.lines]
    if part.unshown:
        lines.append(f"Without a line: {_listed(part.unshown)}.\n")
    return "\n".join(lines)


def _line(line: Line) -> str:
    formats = f" ({', '.join(line.dtypes)})" if line.dtypes else ""
    said = " ".join(_text(sentence(name)) for name in line.requirements[:1])
    text = [f"**{', '.join(line.requirements)}**{formats}: {said}\n", f"```sh\n{safe_text(line.command)}\n```\n"]
    printed = line.printed.splitlines()
    if len(printed) == 1 and line.right:
        text.append(f"prints {_code(printed[0])}; right is {_code(line.right)}.\n")
    else:
        text.append("prints\n\n```text\n" + "\n".join(safe_text(one) for one in printed) + "\n```\n")
        if line.right:
            text.append(f"right is {_code(line.right)}.\n")
    return "\n".join(text)


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{safe_text(text)}{fence}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _text(text: str) -> str:
    return markdown_text(text)


def _anchor(part: Part) -> str:
    return part.entry.name.lower()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
