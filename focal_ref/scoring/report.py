"""What came of a run: as JSON, and as tables."""

from dataclasses import dataclass
from typing import Any

from focal_ref.scoring.results import FORMAT
from focal_ref.scoring.sums import Sum, Sums


@dataclass(frozen=True)
class Report:
    """Counts, sums and means of a run, and an account of every row that is not in them.

    Attributes
    ----------
    data
        As `report.json` holds it.
    """

    data: dict[str, Any]

    @property
    def rows_scored(self) -> int:
        """Rows whose losses are in the sums."""
        return int(self.data["rows"]["scored"])

    @property
    def rows_rejected(self) -> int:
        """Rows that were read, and written aside."""
        return int(self.data["rows"]["rejected"])

    @property
    def unreadable(self) -> list[dict[str, Any]]:
        """Files, row groups and chunks that could not be read."""
        return list(self.data["unreadable"])

    @property
    def loss_sum(self) -> float:
        """Sum of all losses."""
        return float(self.data["loss"]["sum"])

    @property
    def loss_mean(self) -> float | None:
        """The sum over the number of losses; None if there are none."""
        mean = self.data["loss"]["mean"]
        return None if mean is None else float(mean)


def report_of(
    options: dict[str, Any],
    versions: dict[str, str],
    inputs: list[dict[str, Any]],
    sums: Sums,
    unreadable: list[dict[str, Any]],
) -> Report:
    """The report of a run whose parts are all done."""
    rejected = sum(sums.rejected.values())
    known = [entry["rows"] for entry in unreadable if entry["rows"] is not None]
    return Report(
        {
            "format": FORMAT,
            "versions": versions,
            "options": options,
            "inputs": inputs,
            "rows": {
                "read": sums.total.rows + rejected,
                "scored": sums.total.rows,
                "rejected": rejected,
                "unreadable": sum(known),
            },
            "elements": sums.total.elements,
            "loss": {"sum": sums.total.value, "mean": _mean(sums.total)},
            "classes": _entries(sums.classes),
            "groups": {name: _entries(group) for name, group in sums.groups.items()},
            "rejected": dict(sorted(sums.rejected.items())),
            "unreadable": unreadable,
        }
    )


def as_text(report: Report, *, most: int = 20) -> str:
    """Tables for a terminal; of many groups the `most` with the largest sums."""
    data = report.data
    rows = data["rows"]
    lines = [
        f"rows read      {rows['read']:>16,}",
        f"rows scored    {rows['scored']:>16,}",
        f"rows rejected  {rows['rejected']:>16,}",
        f"losses         {data['elements']:>16,}",
        f"sum of losses  {_number(data['loss']['sum']):>16}",
        f"mean loss      {_number(data['loss']['mean']):>16}",
    ]
    if data["classes"]:
        lines += _table("class", data["classes"], most)
    for name, entries in data["groups"].items():
        lines += _table(name, entries, most)
    if data["rejected"] or data["unreadable"]:
        lines.append("")
    for reason, count in data["rejected"].items():
        lines.append(f"rejected: {count:,} rows: {reason}")
    for entry in data["unreadable"]:
        lines.append("unreadable: " + unreadable_text(entry))
    return "\n".join(lines) + "\n"


def unreadable_text(entry: dict[str, Any]) -> str:
    """One line about what could not be read."""
    if entry["unit"] is None:
        return f"{entry['path']}: {entry['error']}"
    return f"{entry['path']}, row group or chunk {entry['unit']}, {entry['rows']:,} rows: {entry['error']}"


def _entries(sums: dict[Any, Sum]) -> list[dict[str, Any]]:
    """By value, null last; counts and sums of each."""
    ordered = sorted(sums.items(), key=lambda item: (item[0] is None, item[0] if item[0] is not None else 0))
    return [
        {
            "value": value,
            "rows": total.rows,
            "elements": total.elements,
            "loss": {"sum": total.value, "mean": _mean(total)},
        }
        for value, total in ordered
    ]


def _mean(total: Sum) -> float | None:
    return total.value / total.elements if total.elements else None


def _table(name: str, entries: list[dict[str, Any]], most: int) -> list[str]:
    shown = sorted(entries, key=lambda entry: -float(entry["loss"]["sum"]))[:most]
    texts = [str("null" if entry["value"] is None else entry["value"]) for entry in shown]
    width = max(len(name), *map(len, texts), 8)
    lines = ["", f"{name:<{width}} {'rows':>14} {'losses':>16} {'sum':>16} {'mean':>14}"]
    for text, entry in zip(texts, shown, strict=True):
        loss = entry["loss"]
        numbers = f"{entry['rows']:>14,} {entry['elements']:>16,}"
        lines.append(f"{text:<{width}} {numbers} {_number(loss['sum']):>16} {_number(loss['mean']):>14}")
    if len(entries) > len(shown):
        lines.append(f"... and {len(entries) - len(shown):,} more in report.json")
    return lines


def _number(value: Any) -> str:
    return "-" if value is None else f"{float(value):.8g}"
