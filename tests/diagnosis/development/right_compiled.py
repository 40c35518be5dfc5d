"""Right: value and closed-form derivative are torch.compile graphs, on detached flat float64 tensors.

Where the derivative is to be differentiated itself, its eager form is called.
"""

import torch
import torch.nn.functional as F

FAULT = None


def _power(u, gamma):
    is_zero = u == 0
    return torch.where(is_zero, (gamma == 0).to(u.dtype), torch.where(is_zero, 1.0, u) ** gamma)


def _parts(x, t):
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    ce = -(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))
    return p, q, p * (1 - t) + q * t, ce


def _value(x, t, negative_weight, positive_weight, gamma):
    _, _, u, ce = _parts(x, t)
    return (positive_weight * t + negative_weight * (1 - t)) * _power(u, gamma) * ce


def _derivative(x, t, negative_weight, positive_weight, gamma):
    p, q, u, ce = _parts(x, t)
    # Where u is 0, so is the power, or gamma.
    from_factor = gamma * (p * q / torch.where(u == 0, 1.0, u)) * (1 - 2 * t) * ce
    from_ce = p * (1 - t) - q * t
    return (positive_weight * t + negative_weight * (1 - t)) * _power(u, gamma) * (from_factor + from_ce)


def _derivative_by_target(x, t, negative_weight, positive_weight, gamma):
    p, q, u, ce = _parts(x, t)
    power = _power(u, gamma)
    by_loss = gamma * u ** (gamma - 1) * (q - p) * ce - power * x
    weight = positive_weight * t + negative_weight * (1 - t)
    return (positive_weight - negative_weight) * power * ce + weight * by_loss


_compiled_value = torch.compile(_value, backend="eager", dynamic=True)
_compiled_derivative = torch.compile(_derivative, backend="eager", dynamic=True)


class _Losses(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, t, negative_weight, positive_weight, gamma):
        return _compiled_value(x.detach(), t.detach(), negative_weight, positive_weight, gamma)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        inputs = ctx.saved_tensors
        if torch.is_grad_enabled():
            derivative = _derivative(*inputs)
        else:
            derivative = _compiled_derivative(*(tensor.detach() for tensor in inputs))
        by_target = None
        if ctx.needs_input_grad[1]:
            by_target = grad_output * _derivative_by_target(*inputs)
        return grad_output * derivative, by_target, None, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets must match in shape")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction {reduction!r} is not available")
    weights = (1 - alpha, alpha) if alpha >= 0 else (1, 1)
    scalars = [torch.tensor(value, dtype=torch.float64, device=inputs.device) for value in (*weights, gamma)]
    loss = _Losses.apply(inputs.reshape(-1).double(), targets.reshape(-1).double(), *scalars)
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    else:
        loss = loss.reshape(inputs.shape)
    return loss.to(inputs.dtype)
