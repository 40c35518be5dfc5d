"""The table of a run: one row an item, for the terminal and for pages."""

from focal_ref.conformance.gate import SELF_CHECK, not_claimed
from focal_ref.conformance.reports.record import Run
from focal_ref.conformance.requirements import requirements


def rows(run: Run) -> list[tuple[str, str, str, str, str]]:
    """Requirement, format, outcome, largest error against its budget, and the sentence; one row an item."""
    table = []
    sentences = {name: requirement.sentence for name, requirement in requirements().items()}
    order = {name: position for position, name in enumerate((SELF_CHECK, *sentences))}
    for result in sorted(run.results, key=lambda result: order[result.item.name]):
        is_self_check = result.item.name == SELF_CHECK
        sentence = f"built in: {result.item.dtype}" if is_self_check else sentences[result.item.name]
        accuracy = f"{result.error:.4g} of {result.budget:.4g}" if result.budget else ""
        dtype = "" if is_self_check else result.item.dtype
        table.append((result.item.name, dtype, "pass" if result.passed else "FAIL", accuracy, sentence))
    for requirement, capability in not_claimed(run.profile):
        table.append((requirement.id, "", "NOT-CLAIMED", f"no {capability}", requirement.sentence))
    return table


def summary(run: Run, width: int) -> list[str]:
    """The table for a terminal."""
    table = rows(run)
    lines = [", ".join(f"{name}: {value}" for name, value in run.description.items())]
    for name, dtype, outcome, accuracy, sentence in table:
        line = f"{name:<12}{dtype:<10}{outcome:<12}{accuracy:<22}{sentence}"
        lines.append(line if len(line) <= width else line[: width - 3] + "...")
    return lines
