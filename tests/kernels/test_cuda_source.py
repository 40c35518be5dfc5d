"""CuPy's kernels, run on the CPU from their CUDA source: bits, bounds, targets, labels, sums, layouts, sizes."""

import numpy as np
import pytest

import focal_ref
from focal_ref._kernels import contiguous
from focal_ref._kernels.dense import tree_sum
from focal_ref._kernels.primitives import has_fused_multiply_add
from focal_ref._parameters import Parameters
from focal_ref._rounding import NARROW_FORMATS, rounder
from focal_ref.adapters import _cupy_source as source
from focal_ref.adapters._array_api import ArrayApiAdapter
from focal_ref.conformance.accuracy import Exact, budget
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.vectors import QUANTITIES, load_all_vectors

from ..comparison import DTYPES, assert_same_bits, assert_within, expected, expected_sum, some_logits, some_targets
from ..comparison import wide as as_float64
from .emulated_cuda import UNAVAILABLE, Emulator
from .emulated_cupy import Array, array, emulated_cupy, use

pytestmark = pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))

SIZE = 5 * source.PIECE + 77
FORMS = [*((dtype, "exact") for dtype in DTYPES), *((dtype, "fast") for dtype in DTYPES if dtype != "float64")]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    return Emulator(tmp_path_factory.mktemp("cuda"))


@pytest.fixture(scope="module", autouse=True)
def cupy(emulator):
    with pytest.MonkeyPatch.context() as context:
        cupy = emulated_cupy(emulator)
        cupy.adapter = use(context, cupy)
        yield cupy


@pytest.fixture(autouse=True)
def nothing_but_kernels(monkeypatch):
    def forms(*given, **options):
        raise AssertionError("evaluated by array operations")

    for name in ("loss", "total", "value_and_grad", "total_and_grad", "second_derivative"):
        monkeypatch.setattr(ArrayApiAdapter, name, forms)


def both(logits, targets, **settings):
    """Value and gradient by CuPy's kernels, and by the loops on the CPU."""
    found = focal_ref.value_and_grad(array(logits), array(targets), **settings)
    assert all(isinstance(each, Array) for each in found)
    return found, focal_ref.value_and_grad(logits, targets, **settings)


def assert_as_on_the_cpu(found, wanted, dtype, precision="exact"):
    """Equal bits, where what is not correctly rounded depends on fused multiply-adds."""
    if has_fused_multiply_add() or (precision == "exact" and dtype != "float64"):
        assert_same_bits(np.asarray(found), wanted)


# Every element


@pytest.mark.parametrize(("dtype", "precision"), FORMS)
# The last one is no float32.
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 1.3])
def test_value_and_gradient_have_the_bits_of_the_cpu_and_are_within_their_bounds(dtype, precision, gamma):
    logits, targets = some_logits(dtype, SIZE), some_targets(SIZE)
    settings = {"alpha": 0.3, "gamma": gamma}
    found, wanted = both(logits, targets, **settings, precision=precision)
    exact = expected(logits, targets, **settings)
    bound = budget(precision, FORMATS[dtype], gamma, weighted=True)
    for name, ours, theirs in zip(("value", "gradient"), found, wanted, strict=True):
        assert_as_on_the_cpu(ours, theirs, dtype, precision)
        assert_within(np.asarray(ours), exact[name], bound)


@pytest.mark.parametrize(("dtype", "precision"), FORMS)
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_the_second_derivative_is_within_its_bound(dtype, precision, gamma):
    logits, targets = some_logits(dtype, SIZE), some_targets(SIZE)
    settings = {"alpha": 0.3, "gamma": gamma}
    found = focal_ref.second_derivative(array(logits), array(targets), **settings, precision=precision)
    exact = expected(logits, targets, **settings)["second_derivative"]
    assert_within(np.asarray(found), exact, budget(precision, FORMATS[dtype], gamma, weighted=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_stored_vectors_come_out(dtype):
    groups = [group for vectors in load_all_vectors() for group in vectors.groups if group.dtype == dtype]
    groups = [group for group in groups if group.encoding == "binary"]
    assert len(groups) > 3
    for group in groups:
        arguments = array(group.arrays.logits), array(group.arrays.targets == 1)
        settings = {"alpha": group.alpha, "gamma": group.gamma}
        bound = budget("exact", group.format, group.gamma, weighted=group.alpha is not None)
        results = (
            *focal_ref.value_and_grad(*arguments, **settings),
            focal_ref.second_derivative(*arguments, **settings),
        )
        for name, found in zip(QUANTITIES, results, strict=True):
            stored = group.arrays.expected[name]
            exact = Exact(stored.numbers, stored.high, stored.low, stored.ulp_exponent, stored.scale_ulp_exponent)
            assert_within(np.asarray(found), exact, bound)


@pytest.mark.parametrize("alpha", [None, 0.0, 1.0])
def test_a_class_of_weight_zero_counts_nothing_where_its_loss_is_infinite(alpha):
    logits, targets = some_logits("float32", SIZE), some_targets(SIZE)
    found, wanted = both(logits, targets, alpha=alpha)
    for ours, theirs in zip(found, wanted, strict=True):
        assert_same_bits(np.asarray(ours), theirs)


def test_a_gamma_of_any_size_is_a_number():
    logits, targets = some_logits("float32", SIZE), some_targets(SIZE)
    for gamma in (1e-300, 1e5, 1.7e308):
        for precision in ("exact", "fast"):
            found, wanted = both(logits, targets, gamma=gamma, precision=precision)
            for ours, theirs in zip(found, wanted, strict=True):
                assert_as_on_the_cpu(ours, theirs, "float32", precision)


def test_a_nan_logit_gives_nan():
    logits = np.array([np.nan, 1.0], np.float32)
    for results in both(logits, np.array([True, True]))[0]:
        assert np.isnan(results).tolist() == [True, False]


# Targets and labels


@pytest.mark.parametrize("dtype", [name for name in source.INTEGERS if name != "bool"])
def test_integers_give_what_booleans_give_and_others_than_0_and_1_give_nan(dtype):
    logits, targets = some_logits("float32", SIZE), some_targets(SIZE)
    numbers = targets.astype(dtype)
    numbers[[3, 2048, SIZE - 1]] = [2, 77, np.iinfo(dtype).max]
    found = focal_ref.value_and_grad(array(logits), array(numbers))
    second = focal_ref.second_derivative(array(logits), array(numbers))
    wanted = [*focal_ref.value_and_grad(logits, targets), focal_ref.second_derivative(logits, targets)]
    for ours, theirs in zip((*found, second), wanted, strict=True):
        theirs[[3, 2048, SIZE - 1]] = np.nan
        assert_same_bits(np.asarray(ours), theirs)


@pytest.mark.parametrize("dtype", [*source.FLOATS, "int8", "int16", "int32", "int64"])
def test_signed_targets_give_what_booleans_give_and_others_give_nan(dtype):
    logits, targets = some_logits("float16", SIZE), some_targets(SIZE)
    numbers = (2 * targets.astype(np.int8) - 1).astype(DTYPES.get(dtype, dtype))
    numbers[[5, SIZE - 1]] = [0, 3]
    found = focal_ref.value_and_grad(array(logits), array(numbers), encoding="signed")
    for ours, theirs in zip(found, focal_ref.value_and_grad(logits, targets), strict=True):
        theirs[[5, SIZE - 1]] = np.nan
        assert_same_bits(np.asarray(ours), theirs)


@pytest.mark.parametrize("classes", [1, 3, 80, source.THREADS, source.THREADS + 1, 3 * source.PIECE + 1])
def test_labels_are_compared_with_the_class_of_each_logit(classes):
    rows = -(-2 * SIZE // classes)
    logits = some_logits("float32", rows * classes).reshape(rows, classes)
    labels = np.random.default_rng(0).integers(-2, classes, rows)
    found = focal_ref.value_and_grad(array(logits), array(labels), function=focal_ref.loss_from_labels)
    second = focal_ref.second_derivative(array(logits), array(labels), function=focal_ref.loss_from_labels)
    wanted = focal_ref.value_and_grad(logits, labels, function=focal_ref.loss_from_labels)
    for ours, theirs in zip(found, wanted, strict=True):
        assert_same_bits(np.asarray(ours), theirs)
    one_hot = labels[:, None] == np.arange(classes)
    dense = np.asarray(focal_ref.second_derivative(array(logits), array(one_hot)))
    assert_same_bits(np.asarray(second), np.where(labels[:, None] == -2, np.float32(0.0), dense))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"])
def test_what_is_no_label_gives_nan_and_what_is_ignored_zero_whatever_the_logits(dtype):
    signed = dtype.startswith("int")
    labels = np.array([0, 3, 120, 2, *([-1, -2, -3] if signed else [])], dtype)
    logits = some_logits("float64", 300)[-labels.size * 3 :].reshape(labels.size, 3)
    logits[-2] = [np.nan, np.inf, -np.inf]
    value, gradient = focal_ref.value_and_grad(array(logits), array(labels), function=focal_ref.loss_from_labels)
    second = focal_ref.second_derivative(array(logits), array(labels), function=focal_ref.loss_from_labels)
    for results in (value, gradient, second):
        wrong = np.isnan(results).all(axis=-1)
        assert wrong[[1, 2]].all()
        assert not wrong[[0, 3]].any()
        if signed:
            assert wrong[-1]
            assert not wrong[-3]
            assert (results[-2] == 0.0).all()


# Sums

SIZES = [1, 2, 3, 511, source.PIECE - 1, source.PIECE, source.PIECE + 1, SIZE]


def test_the_pieces_of_a_sum_are_those_of_the_cpu():
    assert (source.PIECE, source.PIECES_A_RUN) == (contiguous.PIECE, contiguous.PIECES_A_RUN)


@pytest.mark.parametrize(("dtype", "precision"), [("float64", "exact"), ("float32", "fast"), ("bfloat16", "exact")])
@pytest.mark.parametrize("size", SIZES)
def test_a_sum_has_the_bits_of_the_cpu_and_so_has_its_gradient(dtype, precision, size):
    logits = np.clip(some_logits("float64", size), -40.0, 40.0).astype(DTYPES[dtype])
    targets = some_targets(size)
    settings = {"reduction": "sum", "normalizer": 7.0, "precision": precision}
    total = focal_ref.loss(array(logits), array(targets), **settings)
    (found, gradient), (wanted, slopes) = both(logits, targets, **settings)
    assert_same_bits(np.asarray(total), np.asarray(found))
    assert_as_on_the_cpu(found, wanted, dtype, precision)
    assert_as_on_the_cpu(gradient, slopes, dtype, precision)
    if precision == "exact":
        true = expected_sum(logits, targets) / 7.0
        assert abs(float(found) - true) <= (2.0**-23 if dtype == "bfloat16" else 2.0**-48) * true


def test_the_order_of_additions_is_that_of_the_cpu():
    # Four terms of one thread among zeros: in a sum of many, the order of the first additions seldom shows.
    for seed in range(16):
        logits = np.full(source.PIECE, np.inf)
        logits[7 :: source.THREADS] = np.random.default_rng(seed).normal(0.0, 4.0, source.STEPS)
        targets = np.ones(source.PIECE, bool)
        found = focal_ref.loss(array(logits), array(targets), reduction="sum")
        assert_as_on_the_cpu(found, focal_ref.loss(logits, targets, reduction="sum"), "float64")


def test_a_sum_of_several_runs_has_the_bits_of_the_cpu():
    size = contiguous.RUN + source.PIECE + 1
    logits, targets = some_logits("float32", size)[28:], some_targets(size)[28:]
    settings = {"reduction": "sum", "precision": "fast"}
    found = focal_ref.loss(array(logits), array(targets), **settings)
    assert_as_on_the_cpu(found, focal_ref.loss(logits, targets, **settings), "float32", "fast")


@pytest.mark.parametrize("pieces", [0, 1, 2, 3, 63, 64, 65, 128, 129, 1000, 64 * 1100 + 37])
def test_partial_sums_are_added_up_by_the_run_and_the_runs_by_halving(emulator, pieces):
    sums = np.random.default_rng(pieces).normal(1.0, 1e3, pieces)
    runs = [tree_sum(run.copy(), run.size) for run in np.split(sums, range(64, pieces, 64))]
    wanted = np.array(tree_sum(np.array(runs), len(runs)) / 3.0)
    result = np.empty(())
    kernel = emulator.kernel(source.finish_source("float64"), "finish")
    given = [np.int64(pieces), sums, np.float64(3.0), np.uint64(0), result]
    kernel((1,), (source.FINISHING_THREADS,), given)
    assert_same_bits(result, wanted)


def test_the_sum_of_nothing_is_zero():
    for normalizer in (None, 3.0):
        found, gradient = focal_ref.value_and_grad(
            array(np.zeros((0, 4), np.float16)),
            array(np.zeros((0, 4), bool)),
            reduction="sum",
            normalizer=normalizer,
        )
        assert (found.dtype, float(found), gradient.shape) == (np.float32, 0.0, (0, 4))


def test_losses_of_nothing_are_an_empty_array():
    for shape in ((0,), (3, 0)):
        value, gradient = focal_ref.value_and_grad(array(np.zeros(shape)), array(np.zeros(shape, bool)))
        assert value.shape == gradient.shape == shape


def test_a_sum_of_labels_leaves_out_what_is_ignored_and_is_nan_where_a_label_is_none():
    logits, labels = some_logits("float32", 80 * 200)[80:].reshape(-1, 80), np.arange(199) % 80 - 2
    found = focal_ref.loss_from_labels(array(logits), array(labels), reduction="mean")
    assert_same_bits(np.asarray(found), focal_ref.loss_from_labels(logits, labels, reduction="mean"))
    labels[7] = 80
    assert np.isnan(focal_ref.loss_from_labels(array(logits), array(labels), reduction="sum"))


def test_a_normalizer_on_the_device_divides_like_a_number(cupy):
    logits, targets = some_logits("float32", SIZE)[28:], some_targets(SIZE)[28:]
    wanted = focal_ref.value_and_grad(array(logits), array(targets), reduction="sum", normalizer=7.0)
    for dtype in (np.int32, np.float32, np.float64):
        # Not by the public function, for which an emulated array is also one of NumPy's.
        normalizer = array(np.array(7, dtype))
        found = cupy.adapter.total_and_grad(array(logits), array(targets), Parameters(), normalizer, None)
        for ours, theirs in zip(found, wanted, strict=True):
            assert_same_bits(np.asarray(ours), np.asarray(theirs))


def test_nothing_depends_on_how_many_blocks_run_at_once(emulator):
    logits, targets = some_logits("float32", 40 * 500)[:-21], np.arange(499) % 40
    logits = logits[: 499 * 40].reshape(499, 40)
    results = []
    for processors in (1, 2, 1000):
        with pytest.MonkeyPatch.context() as context:
            use(context, emulated_cupy(emulator, processors))
            results.append(
                focal_ref.value_and_grad(
                    array(logits), array(targets), function=focal_ref.loss_from_labels, reduction="sum"
                )
            )
    for total, gradient in results[1:]:
        assert_same_bits(np.asarray(total), np.asarray(results[0][0]))
        assert_same_bits(np.asarray(gradient), np.asarray(results[0][1]))


# Layouts and places


@pytest.mark.parametrize(
    "laid_out",
    [np.transpose, lambda matrix: matrix[::-1, ::2], lambda matrix: np.broadcast_to(matrix[:1], matrix.shape)],
    ids=["transposed", "reversed and strided", "broadcast"],
)
def test_any_strides_give_the_same(laid_out):
    logits = laid_out(some_logits("bfloat16", 60 * 80).reshape(60, 80))
    targets = laid_out(some_targets(60 * 80).reshape(60, 80))
    wanted = focal_ref.value_and_grad(logits, targets)
    out = tuple(array(np.zeros((80, *logits.shape), logits.dtype)[7]) for _ in range(2))
    strided = tuple(array(np.zeros((*logits.shape, 3), logits.dtype))[..., 1] for _ in range(2))
    for given in (None, out, strided):
        found = focal_ref.value_and_grad(array(logits), array(targets), out=given)
        for index, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
            assert_same_bits(np.asarray(ours), theirs)
            assert given is None or ours is given[index]
    gradient = strided[1]
    gradient[...] = 0
    total, same = focal_ref.value_and_grad(array(logits), array(targets), reduction="sum", out=(None, gradient))
    assert same is gradient
    assert_same_bits(np.asarray(gradient), wanted[1])
    assert_same_bits(np.asarray(total), focal_ref.loss(logits, targets, reduction="sum"))


def test_a_scalar_is_an_array_of_one_element():
    found, wanted = both(np.array(2.5, np.float16), np.array(True))
    for ours, theirs in zip(found, wanted, strict=True):
        assert_same_bits(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("labelled", [False, True], ids=["dense", "labels"])
def test_elements_beyond_2_to_31_are_found(emulator, tmp_path, labelled):
    classes = 1000
    size = (2**31 // classes + 7) * classes
    pieces = -(-size // source.PIECE)
    # Files without contents but at their end.
    logits = np.memmap(tmp_path / "logits", np.float16, "w+", shape=size)
    gradient = np.memmap(tmp_path / "gradient", np.float16, "w+", shape=size)
    count = 3 * source.PIECE
    logits[-count:] = some_logits("float16", count)
    if labelled:
        targets = np.zeros(size // classes, np.int32)
        targets[-7:] = [0, 999, -1, -2, 5, 1000, 31]
        one_hot = (targets[-7:, None] == np.arange(classes)).ravel()[-count:]
        wanted = focal_ref.value_and_grad(logits[-count:], one_hot)[1][-4 * classes :]
        wanted[:classes], wanted[2 * classes : 3 * classes] = 0.0, np.nan
    else:
        targets = np.memmap(tmp_path / "targets", np.bool_, "w+", shape=size)
        targets[-count:] = some_targets(count)
        wanted = focal_ref.value_and_grad(logits[-count:], targets[-count:])[1][-4 * classes :]
    variant = source.Variant(
        "float16",
        "int32" if labelled else "bool",
        "labels" if labelled else "binary",
        "float64",
        2.0,
        ("gradient",),
        False,
    )
    given = {
        "size": np.int64(size),
        "classes": np.int64(classes),
        "rows": np.int64(size // classes),
        "logits": logits,
        "targets": targets,
        "positive_weight": np.float64(0.25),
        "negative_weight": np.float64(0.75),
        "gamma": np.float64(2.0),
        "gamma_tail": np.float64(0.0),
        "gradient_out": gradient,
    }
    kernel = emulator.kernel(source.pass_source(variant), "focal")
    arguments = [given[name] for _, name in source.pass_parameters(variant)]
    kernel((pieces,), (source.THREADS,), arguments, first_block=pieces - 3)
    assert_same_bits(gradient[-4 * classes :], wanted)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_float64_is_rounded_to_16_bits_once(emulator, dtype):
    numbers = as_float64(np.arange(1 << 16, dtype=np.uint16).view(DTYPES[dtype]))
    numbers = np.sort(numbers[np.isfinite(numbers)])
    ties = (numbers[1:] + numbers[:-1]) / 2.0
    overflow = numbers[-1] + (numbers[-1] - numbers[-2]) / 2.0
    special = [np.inf, overflow, np.nextafter(overflow, 0.0), 5e-324, 1e300, np.nan, 0.0]
    wide = np.concatenate([numbers, ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf), special])
    wide = np.concatenate([wide, -wide])
    variant = source.Variant(dtype, "bool", "binary", "float64", 2.0, ("value",), False)
    functions = source.pass_source(variant).partition('extern "C"')[0]
    kernel = emulator.kernel(
        f'{functions}\nextern "C" __global__ void __launch_bounds__(1) rounded(\n'
        "    long long size,\n    const double* wide,\n    unsigned short* result)\n"
        "{ for (long long place = 0; place < size; ++place) result[place] = stored_result(wide[place]); }\n",
        "rounded",
    )
    result = np.empty(wide.size, np.uint16)
    kernel((1,), (1,), [np.int64(wide.size), wide, result])
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = rounder(NARROW_FORMATS[dtype], np.where)(wide.view(np.int64)).astype(np.uint16)
    assert_same_bits(result.view(DTYPES[dtype]), wanted.view(DTYPES[dtype]))


def test_kernels_are_compiled_without_fusing_flushing_or_approximating(cupy):
    cupy.options.clear()
    focal_ref.loss(array(np.zeros(3)), array(np.ones(3, bool)), gamma=4.25, alpha=0.125)
    assert cupy.options == [("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true")]
