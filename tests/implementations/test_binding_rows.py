"""What bindings do to shapes: nothing that would hide whether a function refuses targets that do not fit."""

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "implementations"))
    from bindings import rows

    return rows


def shapes(arrays):
    return [tuple(array.shape) for array in arrays]


def test_elements_and_rows_are_laid_out_in_one_dimension(rows):
    assert shapes(rows.flat_elements(torch.zeros(2, 3), torch.zeros(2, 3))) == [(6,), (6,)]
    assert shapes(rows.flat_rows(torch.zeros(2, 3, 4), torch.zeros(2, 3))) == [(6, 4), (6,)]
    assert shapes(rows.flat_rows(torch.zeros(4), torch.tensor(1))) == [(1, 4), (1,)]


@pytest.mark.parametrize("shape", [(3, 2), (6,), (1,), ()])
def test_targets_that_do_not_fit_are_handed_over_as_they_are(rows, shape):
    logits, targets = torch.zeros(2, 3), torch.zeros(shape)
    assert all(one is other for one, other in zip(rows.flat_elements(logits, targets), (logits, targets), strict=True))
    assert all(one is other for one, other in zip(rows.flat_rows(logits, targets), (logits, targets), strict=True))


def test_a_result_goes_back_into_its_shape_unless_it_is_reduced_or_of_another_size(rows):
    shape = torch.Size((2, 3))
    assert tuple(rows.shaped(torch.zeros(6), shape, "none").shape) == (2, 3)
    assert tuple(rows.shaped(torch.zeros(5), shape, "none").shape) == (5,)
    assert tuple(rows.shaped(torch.zeros(1), torch.Size(()), "none").shape) == ()
    assert tuple(rows.shaped(torch.zeros(1), torch.Size(()), "mean").shape) == (1,)
