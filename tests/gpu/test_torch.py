"""PyTorch on a GPU: the bits of the CPU, sums that do not change, no waiting for the device, real training steps."""

import pytest
import torch

import focal_ref

FORMATS = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
SIZE = 10_000_000


@pytest.fixture(scope="module", autouse=True)
def _gpu():
    assert torch.cuda.is_available(), "PyTorch sees no GPU: run on a machine with one, with PyTorch's build for CUDA"


def arguments(dtype, shape=(SIZE // 80, 80)):
    generator = torch.Generator().manual_seed(5)
    logits = (torch.randn(shape, generator=generator) * 12).to(dtype)
    logits.view(-1)[:6] = torch.tensor([float("inf"), float("-inf"), float("nan"), 0.0, -0.0, 88.0])
    return logits, torch.randint(-2, shape[-1] + 1, shape[:-1], generator=generator)


def assert_same_bits(actual, expected):
    kind = {8: torch.int64, 4: torch.int32, 2: torch.int16}[expected.element_size()]
    actual, both_nan = actual.cpu(), actual.cpu().isnan() & expected.isnan()
    same = (actual.view(kind) == expected.view(kind)) | both_nan
    assert same.all(), f"{int((~same).sum())} of {same.numel()} differ, the first at {(~same).nonzero()[0].tolist()}"


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 1.5])
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_labels_give_the_bits_of_the_cpu(dtype, gamma, precision):
    logits, labels = arguments(dtype)
    settings = {"alpha": 0.25, "gamma": gamma, "precision": precision, "function": focal_ref.loss_from_labels}
    # A label out of range is an error where it can be read, and NaN on a device.
    labels = labels.clamp(max=79)
    expected = focal_ref.value_and_grad(logits, labels, **settings)
    actual = focal_ref.value_and_grad(logits.cuda(), labels.cuda(), **settings)
    for one, other in zip(actual, expected, strict=True):
        assert_same_bits(one, other)


@pytest.mark.parametrize("dtype", FORMATS[:3], ids=str)
@pytest.mark.parametrize("targets", ["bool", "float32", "soft"])
def test_dense_targets_give_the_bits_of_the_cpu(dtype, targets):
    logits, _ = arguments(dtype, (SIZE,))
    share = torch.rand(SIZE, generator=torch.Generator().manual_seed(6))
    dense = share if targets == "soft" else (share < 0.1).to(getattr(torch, targets))
    expected = focal_ref.value_and_grad(logits, dense, alpha=0.25)
    actual = focal_ref.value_and_grad(logits.cuda(), dense.cuda(), alpha=0.25)
    for one, other in zip(actual, expected, strict=True):
        assert_same_bits(one, other)


@pytest.mark.parametrize("dtype", FORMATS[:3], ids=str)
def test_the_softmax_gives_the_bits_of_the_cpu(dtype):
    logits, labels = arguments(dtype)
    settings = {"gamma": 2.0, "function": focal_ref.softmax_loss}
    labels = torch.where(labels == -1, -2, labels.clamp(max=79))
    expected = focal_ref.value_and_grad(logits, labels, **settings)
    actual = focal_ref.value_and_grad(logits.cuda(), labels.cuda(), **settings)
    for one, other in zip(actual, expected, strict=True):
        assert_same_bits(one, other)


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_sums_have_the_bits_of_the_cpu_and_are_the_same_every_time(dtype):
    logits, labels = arguments(dtype)
    logits, labels = logits[1:], labels[1:].clamp(max=79)
    expected = focal_ref.loss_from_labels(logits, labels, reduction="sum")
    there = logits.cuda(), labels.cuda()
    sums = {focal_ref.loss_from_labels(*there, reduction="sum").item() for _ in range(20)}
    assert sums == {expected.item()}


def test_strides_do_not_change_a_bit():
    logits, _ = arguments(torch.float32, (64, 720, 30, 32))
    targets = torch.rand(logits.shape, generator=torch.Generator().manual_seed(2)) < 0.1
    expected = focal_ref.loss(logits, targets)
    for layout in (lambda t: t.permute(0, 2, 3, 1), lambda t: t[:, ::3], lambda t: t.mT):
        actual = focal_ref.loss(layout(logits.cuda()), layout(targets.cuda()))
        assert_same_bits(actual, layout(expected).contiguous())


def test_more_than_2_to_the_31_elements():
    size = (1 << 31) + 4099
    logits = torch.zeros(size, dtype=torch.bfloat16, device="cuda")
    targets = torch.zeros(size, dtype=torch.bool, device="cuda")
    logits[-1], targets[-1] = -40.0, True
    losses = focal_ref.loss(logits, targets, gamma=2.0)
    assert losses[-1].item() == 40.0
    # sigmoid(0)^2 log 2
    assert losses[-2].item() == pytest.approx(0.25 * 0.6931, rel=2.0**-8)
    total = focal_ref.loss(logits, targets, gamma=2.0, reduction="sum").item()
    assert total == pytest.approx((size - 1) * 0.25 * 0.6931471805599453 + 40.0, rel=1e-6)


def test_nothing_waits_for_the_device():
    logits, labels = (array.cuda() for array in arguments(torch.float32, (4096, 80)))
    logits.requires_grad_()
    focal_ref.loss_from_labels(logits, labels, reduction="sum").backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        focal_ref.loss_from_labels(logits, labels, reduction="sum").backward()
        focal_ref.value_and_grad(logits.detach(), labels, function=focal_ref.loss_from_labels, reduction="sum")
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_step_is_captured_in_a_cuda_graph_and_replayed_with_other_numbers():
    logits, labels = (array.cuda() for array in arguments(torch.float32, (4096, 80)))
    logits = logits.nan_to_num(0.0, 5.0, -5.0).requires_grad_()
    labels = labels.clamp(max=79)

    def step():
        loss = focal_ref.loss_from_labels(logits, labels, reduction="sum")
        return loss, torch.autograd.grad(loss, logits)[0]

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        logits.mul_(0.5)
    graph.replay()
    for one, other in zip(captured, step(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_training_under_autocast_with_gradient_scaling(compiled, dtype):
    torch.manual_seed(0)
    model = torch.nn.Linear(64, 80).cuda()
    inputs, labels = torch.randn(2048, 64).cuda(), torch.randint(-2, 80, (2048,)).cuda()

    def loss_of(inputs, labels):
        return focal_ref.loss_from_labels(model(inputs), labels, alpha=0.25, reduction="mean")

    function = torch.compile(loss_of) if compiled else loss_of
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cuda")
    history = []
    for _ in range(8):
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=dtype):
            loss = function(inputs, labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        history.append(loss.item())
    assert history[-1] < history[0]


def test_memory_is_the_gradient_alone():
    logits, labels = (array.cuda() for array in arguments(torch.float32))
    logits.requires_grad_()
    focal_ref.loss_from_labels(logits, labels, reduction="sum").backward()
    logits.grad = None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    loss = focal_ref.loss_from_labels(logits, labels, reduction="sum")
    assert torch.cuda.max_memory_allocated() - before < 1_000_000
    loss.backward()
    assert torch.cuda.max_memory_allocated() - before < logits.numel() * 4 + 1_000_000
