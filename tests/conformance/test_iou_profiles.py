"""Other people's overlap of boxes, by itself."""

import json
import tomllib
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from focal_ref.conformance.gate import items_of, run_item
from focal_ref.conformance.profiles import ProfileError, parse_profile
from focal_ref.conformance.targets.libraries import LIBRARIES
from focal_ref.conformance.targets.matcher import BoxTarget

TEXT = """
[profile]
name = "mine"
description = "an overlap of boxes"
package = "my-package"
library = "numpy"
kind = "iou"

[signature]
function = "my_package.boxes:iou"

[conventions]

[claims]
capabilities = ["boxes", "box_options"]

[claims.dtypes]
float64 = "exact"
"""


def iou(boxes1, boxes2, crowd=None):
    """Intersection over union, and over the first box for a crowd; nothing of whole corners below 2^53 is rounded."""
    corners = np.maximum(boxes1[:, None, :2], boxes2[:, :2]), np.minimum(boxes1[:, None, 2:], boxes2[:, 2:])
    common = np.prod(np.maximum(corners[1] - corners[0], 0), axis=-1)
    first, second = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (boxes1, boxes2))
    union = first[:, None] + second - common
    return common / (union if crowd is None else np.where(crowd, first[:, None], union))


def failing(function):
    profile = parse_profile(TEXT, "mine.toml")
    target = BoxTarget("mine", {"box_iou": function}, profile, LIBRARIES["numpy"]("numpy", None, ""))
    assert target.describe()["device"] == "cpu"
    items = [item for item in items_of(profile) if item.name.startswith("FL-")]
    results = {item: run_item(item, target, "") for item in items}
    assert {item.name for item in items} == {f"FL-IOU-{number:03}" for number in range(1, 5)}
    assert all(result.comparisons for result in results.values())
    return {item.name for item, result in results.items() if not result.passed}


def test_a_right_overlap_meets_everything_that_an_overlap_has():
    assert failing(iou) == set()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda one, other, crowd=None: iou(one, other), {"FL-IOU-004"}),
        (lambda one, other, crowd=None: iou(one, other, None if crowd is None else ~crowd), {"FL-IOU-004"}),
        (lambda one, other, crowd=None: iou(one, other, crowd) + 1e-9, {f"FL-IOU-{n:03}" for n in range(1, 5)}),
    ],
    ids=["crowds ignored", "crowds exchanged", "an epsilon added"],
)
def test_a_wrong_overlap_fails_what_asks_for_it(wrong, expected):
    assert failing(wrong) == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["boxes", "box_options"]', '["box_options"]', "claims.capabilities: a iou has 'boxes'"),
        ('"box_options"]', '"matching"]', "claims.capabilities: got 'matching'; allowed are boxes, box_options"),
        ('boxes:iou"', 'boxes:iou"\ndecode = "a:b"', "signature.decode: unknown; allowed are function"),
        ("[conventions]", "[conventions]\noffset = 1", "conventions.offset: unknown; allowed are "),
        ('float64 = "exact"', 'float16 = "exact"', "claims.dtypes: got 'float16'; allowed are float32, float64"),
    ],
)
def test_loader_and_schema_refuse_what_an_overlap_cannot_have(old, new, message):
    schema = json.loads(files("focal_ref.conformance.profiles").joinpath("profile.schema.json").read_text("utf-8"))
    jsonschema.validate(tomllib.loads(TEXT), schema)
    text = TEXT.replace(old, new)
    assert text != TEXT
    with pytest.raises(ProfileError) as raised:
        parse_profile(text, "mine.toml")
    assert message in str(raised.value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), schema)
