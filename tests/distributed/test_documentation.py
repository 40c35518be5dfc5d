"""The table of docs/distributed.md holds what the processes of these tests found."""

import re
from pathlib import Path

from focal_ref.detection import normalize_loss

from .pictures import TABLE_POSITIVES, TABLE_SUMS

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"
WAYS = ("nothing", "mean of counts", "SumOverRanks")
NORMALIZERS = {
    '`"per_picture"`': "per_picture",
    '`"batch"`': "batch",
    '`"plus_one"`': "plus_one",
    '`"plus_one_per_picture"`': "plus_one_per_picture",
    "8.0": 8.0,
}


def test_the_table_of_normalizers_holds_measured_numbers(ranks):
    rows = re.findall(r"^\| (\S+) \|((?: [\d.-]+ \|){7})$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(NORMALIZERS)
    for name, cells in rows:
        normalizer = NORMALIZERS[name]
        single = float(normalize_loss(TABLE_SUMS, TABLE_POSITIVES, normalizer))
        expected = [f"{single:.3f}"]
        for world in (2, 4):
            for found in ranks(world, "data_parallel.table"):
                numbers = [found[f"{normalizer}, {way}"] for way in WAYS]
                assert abs(numbers[-1] - single) < 1e-12 * single
            texts = [f"{number:.3f}" for number in numbers]
            expected += texts if normalizer != 8.0 else [texts[0], "-", texts[2]]
        assert cells.replace("|", "").split() == expected
