"""`FocalLoss`: a module like PyTorch's own losses, whose hyper-parameters may train."""

import copy
import pickle

import numpy as np
import pytest
import torch

import focal_ref
from focal_ref.integrations.torch import FocalLoss

from .paper import focal, softmax_focal

LOGITS = torch.linspace(-4.0, 4.0, 12, dtype=torch.float64).reshape(4, 3)
TARGETS = (torch.arange(12).reshape(4, 3) % 3 == 0).to(torch.float32)
LABELS = torch.tensor([2, 0, 1, 2])


def learnable(value):
    return torch.nn.Parameter(torch.tensor(value, dtype=torch.float64))


def test_the_default_is_the_mean_of_the_paper_s_loss():
    torch.testing.assert_close(FocalLoss()(LOGITS, TARGETS), focal(LOGITS, TARGETS).mean(), rtol=1e-12, atol=0.0)


def test_the_logits_receive_the_gradient_of_the_paper_s_loss():
    leaves = [LOGITS.clone().requires_grad_() for _ in range(2)]
    FocalLoss(gamma=1.5, reduction="sum")(leaves[0], TARGETS).backward()
    focal(leaves[1], TARGETS, gamma=1.5).sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-12, atol=0.0)


def test_weights_and_normalizer_belong_to_a_call():
    weights = torch.tensor([[1.0], [0.0], [2.0], [0.5]])
    found = FocalLoss(reduction="sum")(LOGITS, TARGETS, weights=weights, normalizer=3)
    torch.testing.assert_close(found, (focal(LOGITS, TARGETS) * weights).sum() / 3, rtol=1e-12, atol=0.0)
    for name in ("weights", "normalizer"):
        with pytest.raises(TypeError, match=f"^{name}: belongs to a call"):
            FocalLoss(**{name: weights})


def test_any_loss_can_be_named():
    one_hot = torch.nn.functional.one_hot(LABELS, 3)
    softmax = FocalLoss(focal_ref.softmax_loss, reduction="none", gamma=1.0, alpha=[1.0, 2.0, 0.5])
    expected = softmax_focal(LOGITS, one_hot, gamma=1.0, alpha=torch.tensor([1.0, 2.0, 0.5]))
    torch.testing.assert_close(softmax(LOGITS, LABELS), expected, rtol=1e-12, atol=0.0)
    of_labels = FocalLoss(focal_ref.loss_from_labels, reduction="none")
    torch.testing.assert_close(of_labels(LOGITS, LABELS), focal(LOGITS, one_hot), rtol=1e-12, atol=0.0)


def test_a_softmax_takes_its_axis():
    criterion = FocalLoss(focal_ref.softmax_loss, axis=1, reduction="none")
    logits = LOGITS.reshape(2, 3, 2)
    expected = softmax_focal(logits.movedim(1, -1), torch.nn.functional.one_hot(LABELS.reshape(2, 2), 3))
    torch.testing.assert_close(criterion(logits, LABELS.reshape(2, 2)), expected, rtol=1e-12, atol=0.0)


def test_a_parameter_is_registered_and_a_tensor_is_a_buffer_and_a_number_neither():
    gamma, alpha = learnable(2.0), torch.tensor([0.2, 0.3, 0.4])
    criterion = FocalLoss(gamma=gamma, alpha=alpha, precision="exact")
    assert [(name, value is gamma) for name, value in criterion.named_parameters()] == [("gamma", True)]
    assert [(name, value is alpha) for name, value in criterion.named_buffers()] == [("alpha", True)]
    assert (criterion.gamma is gamma, criterion.alpha is alpha, criterion.precision) == (True, True, "exact")
    assert dict(FocalLoss(gamma=2.0, alpha=None).state_dict()) == {}


@pytest.mark.parametrize("values", [[0.2, 0.3, 0.4], (0.2, 0.3, 0.4), np.array([0.2, 0.3, 0.4])])
def test_numbers_of_each_class_become_a_buffer_of_float64(values):
    criterion = FocalLoss(alpha=values, reduction="none")
    assert criterion.alpha.dtype == torch.float64
    assert criterion.alpha.tolist() == [0.2, 0.3, 0.4]
    expected = focal(LOGITS, TARGETS, alpha=torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64))
    torch.testing.assert_close(criterion(LOGITS, TARGETS), expected, rtol=1e-12, atol=0.0)


def test_buffers_and_parameters_move_with_the_module():
    criterion = FocalLoss(gamma=learnable(2.0), alpha=torch.tensor([0.2, 0.3, 0.4])).to("meta")
    assert (criterion.gamma.device.type, criterion.alpha.device.type) == ("meta", "meta")


def test_a_gamma_receives_its_gradient():
    found, expected = learnable(1.5), learnable(1.5)
    FocalLoss(gamma=found, reduction="sum")(LOGITS, TARGETS).backward()
    focal(LOGITS, TARGETS, gamma=expected).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad, rtol=1e-12, atol=0.0)


def test_a_gamma_of_each_class_trains():
    # The loss falls where gamma grows, so that each of them does.
    criterion = FocalLoss(gamma=torch.nn.Parameter(torch.tensor([0.5, 1.0, 2.0])))
    optimizer = torch.optim.SGD(criterion.parameters(), lr=0.5)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        value = criterion(LOGITS, TARGETS)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[0] > losses[1] > losses[2]
    assert torch.all(criterion.gamma > torch.tensor([0.5, 1.0, 2.0]))


def test_the_state_goes_through_a_state_dict():
    trained = FocalLoss(gamma=learnable(1.25), alpha=torch.tensor([0.2, 0.3, 0.4]))
    fresh = FocalLoss(gamma=learnable(2.0), alpha=torch.zeros(3))
    assert sorted(trained.state_dict()) == ["alpha", "gamma"]
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh(LOGITS, TARGETS), trained(LOGITS, TARGETS))
    assert fresh.gamma.item() == 1.25


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_is_a_module_of_its_own(copied):
    criterion = FocalLoss(focal_ref.softmax_loss, gamma=learnable(2.0), alpha=torch.tensor([1.0, 2.0, 0.5]))
    other = copied(criterion)
    assert torch.equal(other(LOGITS, LABELS), criterion(LOGITS, LABELS))
    with torch.no_grad():
        other.gamma.fill_(0.0)
    assert criterion.gamma.item() == 2.0
    assert other(LOGITS, LABELS) > criterion(LOGITS, LABELS)
    assert [name for name, _ in other.named_parameters()] == ["gamma"]


def test_the_module_compiles_with_a_gamma_that_trains():
    criterion = FocalLoss(gamma=learnable(1.5), alpha=torch.tensor([0.25, 0.5, 0.75]))
    compiled = torch.compile(criterion, backend="aot_eager", fullgraph=True)
    logits = LOGITS.clone().requires_grad_()
    compiled(logits, TARGETS).backward()
    gamma, leaf = learnable(1.5), LOGITS.clone().requires_grad_()
    focal(leaf, TARGETS, gamma=gamma, alpha=criterion.alpha.to(torch.float64)).mean().backward()
    torch.testing.assert_close(criterion.gamma.grad, gamma.grad, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(logits.grad, leaf.grad, rtol=1e-12, atol=0.0)


def test_the_representation_names_function_and_hyper_parameters():
    criterion = FocalLoss(focal_ref.star_loss, gamma=learnable(2.0), alpha=torch.ones(3), beta=0.5)
    assert repr(criterion) == (
        "FocalLoss(function=focal_ref.star_loss, reduction='mean', gamma=Parameter(shape=()), "
        "alpha=Tensor(shape=(3,)), beta=0.5)"
    )


@pytest.mark.parametrize("value", [1.0, torch.ones(3), learnable(1.0)])
def test_a_parameter_that_the_function_does_not_have_is_refused_at_construction(value):
    with pytest.raises(TypeError, match=r"^delta: loss has no such argument; it has alpha, gamma"):
        FocalLoss(delta=value)
    with pytest.raises(TypeError, match=r"^axis: loss has no such argument"):
        FocalLoss(axis=1)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"gamma": -1.0}, "gamma: got -1.0; it is finite and >= 0"),
        ({"alpha": 1.5}, "alpha: got 1.5; it is in [0, 1]"),
        ({"reduction": "average"}, "reduction: got 'average'; allowed are 'none', 'sum', 'mean'"),
        ({"encoding": "onehot"}, "encoding: got 'onehot'; allowed are 'binary', 'signed'"),
        ({"function": focal_ref.star_loss, "gamma": 0.0}, "gamma: got 0.0; it is finite and > 0"),
        ({"function": focal_ref.softmax_loss, "alpha": 0.25}, "alpha: got 0.25; it holds one number a class"),
    ],
)
def test_numbers_and_options_out_of_range_are_refused_at_construction(settings, text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        FocalLoss(**settings)
    assert str(caught.value).startswith(text)


def test_a_function_that_is_no_loss_of_this_package_is_refused():
    with pytest.raises(TypeError, match=r"^function: got .*; it is one of focal_ref\.loss, "):
        FocalLoss(torch.nn.functional.cross_entropy)
