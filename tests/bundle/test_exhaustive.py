"""The recipes of the 16-bit formats: what they say comes out, by two other ways."""

import hashlib
import json

import numpy as np
import pytest

import focal_ref
from focal_ref.conformance.bundle import exhaustive
from focal_ref.conformance.bundle.exhaustive import LOGITS, QUANTITIES, Recipe, recipes

STORED = {entry["id"]: entry for entry in json.loads(exhaustive.FILE.read_text())["tests"]}

EVERY = 2749
"""A prime step, so that all exponents are met; `--certify` takes any."""


def test_every_recipe_is_stored_once():
    assert [recipe.id for recipe in recipes()] == list(STORED)
    assert len(STORED) == 40


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_numbers_behind_the_hashes_are_certified_by_arb(dtype):
    # The paper's parameters, and the border where rounding hangs on what no float64 number shows.
    for gamma, alpha in ((2.0, 0.25), (0.0, 0.25)):
        for target in (0, 1):
            recipe = Recipe(dtype, alpha, gamma, target)
            for quantity in QUANTITIES:
                assert exhaustive.differences(recipe, quantity, EVERY) == []


@pytest.mark.parametrize(("dtype", "gamma", "alpha"), [("float16", 2.0, 0.25), ("bfloat16", 0.5, None)])
def test_following_the_recipe_by_hand_gives_the_stored_hashes(dtype, gamma, alpha):
    # The NumPy backend, which shares no code with the double-double reference, and the recipe's text step by step.
    stored = STORED[f"exhaustive/{dtype}/gamma={gamma:g}/alpha={'none' if alpha is None else alpha}/target=1"]
    format = Recipe(dtype, alpha, gamma, 1).format
    logits = np.arange(LOGITS, dtype=np.uint16).view(format.dtype)
    results = focal_ref.value_and_grad(logits, np.ones(LOGITS, np.int64), alpha=alpha, gamma=gamma)
    for quantity, numbers in zip(QUANTITIES, results, strict=True):
        bits = numbers.view(np.uint16).astype(">u2")
        with np.errstate(invalid="ignore"):
            wide = numbers.astype(np.float64)
        bits[np.isnan(wide)] = int(stored["nan_bits"], 16)
        bits[wide == 0] = 0
        content = bits.tobytes()
        assert hashlib.sha256(content).hexdigest() == stored[quantity]["sha256"]
        blocks = [hashlib.sha256(content[start : start + 8192]).hexdigest()[:8] for start in range(0, 131072, 8192)]
        assert blocks == stored[quantity]["blocks"]


def test_a_wrong_number_changes_the_hash_of_its_block_alone():
    recipe = Recipe("float16", 0.25, 2.0, 1)
    bits = recipe.bits()["value"]
    bits[5 * 4096 + 7] ^= 1
    wrong = exhaustive._hashes(bits)
    stored = STORED[recipe.id]["value"]
    assert wrong["sha256"] != stored["sha256"]
    differs = [
        index for index, pair in enumerate(zip(wrong["blocks"], stored["blocks"], strict=True)) if len(set(pair)) > 1
    ]
    assert differs == [5]
