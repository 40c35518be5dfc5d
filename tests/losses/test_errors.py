"""What is refused, and in which words: the argument, what was given, what is allowed, what to do."""

import ml_dtypes
import numpy as np
import pytest

from focal_ref import loss, parameter_gradients, second_derivative, value_and_grad

LOGITS, TARGETS = np.zeros((2, 3)), np.ones((2, 3))

both_functions = pytest.mark.parametrize("function", [loss, value_and_grad])


def refusal(error, function, *arrays, **settings):
    """The text of the error, which is of exactly this type: a subclass is raised by somebody else."""
    with pytest.raises(error) as raised:
        function(*arrays, **settings)
    assert raised.type is error
    return str(raised.value)


# Logits


@both_functions
@pytest.mark.parametrize("logits", [[0.0], (0.0,), 0.0, 1, "0", None, object()])
def test_logits_that_are_no_array_are_refused(function, logits):
    kind = f"builtins.{type(logits).__name__}"
    assert refusal(TypeError, function, logits, [1]) == (
        f"logits: got {kind}; pass an array of numpy, torch, jax, cupy, dask, array_api_strict, or of a library that "
        "follows "
        "the Array API standard"
    )


@both_functions
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "complex64", "complex128", np.longdouble, "object", "U3"])
def test_logits_that_are_no_floats_of_16_to_64_bits_are_refused(function, dtype):
    logits = np.zeros(3).astype(dtype)
    assert refusal(TypeError, function, logits, np.ones(3)) == (
        f"logits: got dtype {logits.dtype.name}; allowed are float16, bfloat16, float32, float64"
    )


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
def test_logits_of_8_bits_are_refused(dtype):
    text = refusal(TypeError, loss, np.zeros(3, dtype), np.ones(3))
    assert text == f"logits: got dtype {np.dtype(dtype).name}; allowed are float16, bfloat16, float32, float64"


# Targets


@both_functions
@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (2, 1), (3, 2), (2, 3, 1)])
def test_targets_of_another_shape_are_refused_with_both_shapes(function, shape):
    assert refusal(ValueError, function, LOGITS, np.ones(shape)) == (
        f"targets: got shape {shape}, logits have shape (2, 3); they must be equal, nothing is broadcast"
    )


@both_functions
@pytest.mark.parametrize(
    ("value", "repeated"), [(1.5, "1.5"), (-0.25, "-0.25"), (np.nan, "nan"), (np.inf, "inf"), (-1e-300, "-1e-300")]
)
def test_a_soft_target_outside_0_to_1_is_refused_with_its_position(function, value, repeated):
    targets = TARGETS.copy()
    targets[1, 0], targets[1, 2] = value, 7.0
    assert refusal(ValueError, function, LOGITS, targets) == (
        f"targets: got {repeated} at position (1, 0); it is in [0, 1] (encoding='binary')"
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_narrow_soft_targets_are_checked_too(dtype):
    for value, repeated in ((1.5, "1.5"), (-2.0, "-2.0"), (np.nan, "nan")):
        targets = np.array([0.5, value, 1.0]).astype(dtype)
        assert refusal(ValueError, loss, np.zeros(3), targets) == (
            f"targets: got {repeated} at position (1,); it is in [0, 1] (encoding='binary')"
        )


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.uint64])
@pytest.mark.parametrize("value", [2, 255, -1])
def test_an_integer_target_that_is_neither_0_nor_1_is_refused_with_a_hint_at_the_signed_encoding(dtype, value):
    targets = np.array([[0, 1, 0], [1, 1, 0]]).astype(dtype)
    targets[1, 1] = np.array(value).astype(dtype)
    assert refusal(ValueError, loss, LOGITS, targets) == (
        f"targets: got {targets[1, 1]} at position (1, 1); it is 0 or 1 (integers, encoding='binary'); "
        "for labels -1/+1 pass encoding='signed'"
    )


@pytest.mark.parametrize(("value", "repeated"), [(0, "0"), (2, "2"), (0.5, "0.5"), (np.nan, "nan")])
def test_a_signed_target_that_is_neither_minus_1_nor_1_is_refused(value, repeated):
    targets = np.array([-1, 1, value])
    assert refusal(ValueError, loss, np.zeros(3), targets, encoding="signed") == (
        f"targets: got {repeated} at position (2,); it is -1 or +1 (encoding='signed')"
    )


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint64"])
def test_targets_that_cannot_be_minus_1_are_refused_in_the_signed_encoding(dtype):
    assert refusal(TypeError, loss, LOGITS, TARGETS.astype(dtype), encoding="signed") == (
        f"targets: got dtype {dtype} with encoding='signed'; it takes -1 and +1 as integers or floats"
    )


@both_functions
def test_one_bad_target_without_dimensions_has_no_position(function):
    for targets in (np.array(2), 2, 2.0, np.float32(2)):
        assert refusal(ValueError, function, np.array(0.0), targets).startswith(
            ("targets: got 2; it is ", "targets: got 2.0; it is ")
        )


def test_the_position_is_the_one_in_the_callers_array_whatever_its_layout():
    targets = np.zeros((4, 6))
    targets[1, 4] = 3.0
    for view, position in (
        (targets[::-1], (2, 4)),
        (targets.T, (4, 1)),
        (np.asfortranarray(targets), (1, 4)),
        (targets[1::2, ::2], (0, 2)),
    ):
        text = refusal(ValueError, loss, np.zeros(view.shape), view)
        assert text.startswith(f"targets: got 3.0 at position {position}; ")


@both_functions
def test_complex_targets_are_refused(function):
    assert refusal(TypeError, function, LOGITS, TARGETS.astype(complex)) == (
        "targets: got dtype complex128; allowed are bool, integers and real floats"
    )


@both_functions
@pytest.mark.parametrize("targets", ["1", None, {1, 0}, 1j, object()])
def test_targets_that_are_neither_numbers_nor_an_array_are_refused(function, targets):
    assert refusal(TypeError, function, LOGITS, targets) == (
        f"targets: got builtins.{type(targets).__name__}; logits are numpy.ndarray, so pass one of these"
    )


def test_a_list_that_holds_no_real_numbers_is_refused():
    for targets in (["1"], [None], [1j]):
        assert refusal(TypeError, loss, np.zeros(1), targets) == "targets: got builtins.list; it holds real numbers"


def test_a_list_of_rows_of_unequal_length_is_refused_by_name():
    assert refusal(ValueError, loss, LOGITS, [[1, 0, 1], [1, 0]]).startswith("targets: ")


@both_functions
@pytest.mark.parametrize("dtype", ["object", "U1", "S1", "M8[s]"])
def test_arrays_that_hold_no_real_numbers_are_refused_as_targets_by_name(function, dtype):
    targets = np.array(["1", "0", "1"]).astype("i8").astype(dtype)
    assert refusal(TypeError, function, np.zeros(3), targets).startswith("targets: got ")


# Alpha, gamma, weights

ALLOWED = {
    "alpha": "in [0, 1] (positives weigh alpha, negatives 1 - alpha); pass None for no weighting",
    "gamma": "finite and >= 0",
    "weights": "finite and >= 0",
}
OUT_OF_RANGE = [("alpha", v) for v in (-0.25, 1.25, np.nan, np.inf)]
OUT_OF_RANGE += [(name, v) for name in ("gamma", "weights") for v in (-0.25, np.nan, np.inf, -np.inf)]

out_of_range = pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
every_parameter = pytest.mark.parametrize("name", ALLOWED)


@both_functions
@out_of_range
def test_a_number_out_of_range_is_refused(function, name, value):
    text = refusal(ValueError, function, LOGITS, TARGETS, **{name: value})
    assert text == f"{name}: got {value!r}; it is {ALLOWED[name]}"


@pytest.mark.parametrize("name", ["alpha", "gamma"])
def test_a_numpy_scalar_out_of_range_is_repeated_as_it_was_given(name):
    text = refusal(ValueError, loss, LOGITS, TARGETS, **{name: np.float32(-0.5)})
    assert text == f"{name}: got np.float32(-0.5); it is {ALLOWED[name]}"


@both_functions
@out_of_range
def test_an_array_with_an_element_out_of_range_is_refused_with_its_position(function, name, value):
    row, full = np.array([0.5, 0.5, value]), np.full((2, 3), 0.5)
    full[1, 0], full[1, 1] = value, -7.0
    for setting, place in ((row, " at position (2,)"), (full, " at position (1, 0)"), (np.array(value), "")):
        text = refusal(ValueError, function, LOGITS, TARGETS, **{name: setting})
        assert text == f"{name}: got {value!r}{place}; it is {ALLOWED[name]}"


@both_functions
@every_parameter
@pytest.mark.parametrize("shape", [(2,), (4,), (3, 2), (1, 2, 3), (1, 1, 1), (2, 0)])
def test_an_array_that_does_not_broadcast_is_refused_with_both_shapes(function, name, shape):
    assert refusal(ValueError, function, LOGITS, TARGETS, **{name: np.ones(shape)}) == (
        f"{name}: got shape {shape}, which does not broadcast to the logits' shape (2, 3)"
    )


@both_functions
@every_parameter
def test_complex_arrays_are_refused(function, name):
    assert refusal(TypeError, function, LOGITS, TARGETS, **{name: np.full(3, 0.5 + 0j)}) == (
        f"{name}: got dtype complex128; it is a real number or an array of real numbers"
    )


@both_functions
@every_parameter
@pytest.mark.parametrize("value", ["0.25", 1j, {0.5}, object()])
def test_what_is_neither_a_number_nor_an_array_is_refused(function, name, value):
    assert refusal(TypeError, function, LOGITS, TARGETS, **{name: value}) == (
        f"{name}: got builtins.{type(value).__name__}; logits are numpy.ndarray, so pass one of these"
    )


def test_gamma_is_never_absent():
    assert refusal(TypeError, loss, LOGITS, TARGETS, gamma=None).startswith("gamma: got builtins.NoneType; ")


@every_parameter
@pytest.mark.parametrize("dtype", ["object", "U3"])
def test_arrays_that_hold_no_real_numbers_are_refused_by_name(name, dtype):
    text = refusal(TypeError, loss, LOGITS, TARGETS, **{name: np.array([0.5, 1.0, 0.5]).astype(dtype)})
    assert text.startswith(f"{name}: got ")


@every_parameter
def test_a_list_of_strings_is_refused_by_name(name):
    text = refusal(TypeError, loss, LOGITS, TARGETS, **{name: ["a", "b", "c"]})
    assert text == f"{name}: got builtins.list; it holds real numbers"


@every_parameter
def test_an_integer_beyond_float64_is_out_of_range(name):
    # ValueError like every other number out of range, not the OverflowError of the conversion.
    assert refusal(ValueError, loss, LOGITS, TARGETS, **{name: 10**400}).startswith(f"{name}: got 1000")


# Options


@both_functions
@pytest.mark.parametrize("value", ["onehot", "BINARY", "", None, 1, ["binary"]])
def test_an_unknown_encoding_is_refused(function, value):
    text = refusal(ValueError, function, LOGITS, TARGETS, encoding=value)
    assert text == f"encoding: got {value!r}; allowed are 'binary', 'signed'"


@both_functions
@pytest.mark.parametrize("value", ["double", "Exact", "", None, 64])
def test_an_unknown_precision_is_refused(function, value):
    text = refusal(ValueError, function, LOGITS, TARGETS, precision=value)
    assert text == f"precision: got {value!r}; allowed are 'exact', 'fast'"


@pytest.mark.parametrize("value", ["avg", "SUM", "", None, 0, ("sum",)])
def test_an_unknown_reduction_is_refused(value):
    text = refusal(ValueError, loss, LOGITS, TARGETS, reduction=value)
    assert text == f"reduction: got {value!r}; allowed are 'none', 'sum', 'mean'"


@pytest.mark.parametrize("name", ["reduction", "normalizer"])
@pytest.mark.parametrize("function", [second_derivative, parameter_gradients])
def test_further_derivatives_have_no_reduction(function, name):
    text = refusal(TypeError, function, LOGITS, TARGETS, **{name: 1})
    assert text == f"{name}: got 1; a derivative is that of each result, add them up yourself"


def test_value_and_grad_refuses_the_reductions_that_the_loss_refuses():
    text = refusal(ValueError, value_and_grad, LOGITS, TARGETS, reduction="avg")
    assert text == "reduction: got 'avg'; allowed are 'none', 'sum', 'mean'"
    text = refusal(ValueError, value_and_grad, LOGITS, TARGETS, normalizer=2.0)
    assert text == "normalizer: got 2.0 with reduction='none'; it divides the sum, so pass reduction='sum'"


@both_functions
def test_arrays_are_positional_and_settings_are_keywords(function):
    with pytest.raises(TypeError, match="positional"):
        function(LOGITS, TARGETS, 0.25)
    with pytest.raises(TypeError, match="positional"):
        function(logits=LOGITS, targets=TARGETS)


# Normalizer

NORMALIZER = "it is finite and > 0. Where no anchor is positive, pass max(1, number of positives)"


@pytest.mark.parametrize("value", [0, 0.0, -1, -2.5, np.inf, np.nan, np.float32(0.0), np.int64(0)])
def test_a_normalizer_that_is_not_finite_and_positive_is_refused_with_what_to_do(value):
    text = refusal(ValueError, loss, LOGITS, TARGETS, reduction="sum", normalizer=value)
    assert text == f"normalizer: got {value!r}; {NORMALIZER}"


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_normalizer_in_an_array_is_checked_too(value):
    text = refusal(ValueError, loss, LOGITS, TARGETS, reduction="sum", normalizer=np.array(value))
    assert text == f"normalizer: got {value!r}; {NORMALIZER}"


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_normalizer_without_a_sum_is_refused(reduction):
    assert refusal(ValueError, loss, LOGITS, TARGETS, reduction=reduction, normalizer=2) == (
        f"normalizer: got 2 with reduction='{reduction}'; it divides the sum, so pass reduction='sum'"
    )


@pytest.mark.parametrize("value", ["2", 1j, [2], (2,), True, np.array([2.0]), np.ones((1, 1))])
def test_a_normalizer_that_is_no_number_is_refused(value):
    module = "numpy" if isinstance(value, np.ndarray) else "builtins"
    assert refusal(TypeError, loss, LOGITS, TARGETS, reduction="sum", normalizer=value) == (
        f"normalizer: got {module}.{type(value).__name__}; it is a number or an array of shape ()"
    )


@pytest.mark.parametrize("value", [np.array(2 + 0j), np.complex128(2), np.array("2"), np.str_("a"), np.array(None)])
def test_a_normalizer_without_dimensions_that_is_no_real_number_is_refused_by_name(value):
    text = refusal(TypeError, loss, LOGITS, TARGETS, reduction="sum", normalizer=value)
    assert text.startswith("normalizer: got ")


# Libraries


def test_torch_tensors_are_refused_beside_numpy_logits():
    import torch

    text = "{}: got torch.Tensor; logits are numpy.ndarray, so pass one of these"
    assert refusal(TypeError, loss, LOGITS, torch.ones(2, 3)) == text.format("targets")
    for name in ALLOWED:
        assert refusal(TypeError, loss, LOGITS, TARGETS, **{name: torch.ones(3)}) == text.format(name)


def test_jax_arrays_are_refused_beside_torch_logits():
    import jax.numpy as jnp
    import torch

    array = jnp.ones(3)
    kind = f"{type(array).__module__}.{type(array).__qualname__}"
    assert refusal(TypeError, loss, torch.zeros(3), array) == (
        f"targets: got {kind}; logits are torch.Tensor, so pass one of these"
    )
    assert refusal(TypeError, loss, array, torch.zeros(3)) == (
        f"targets: got torch.Tensor; logits are {kind}, so pass one of these"
    )


@both_functions
def test_torch_refuses_in_the_same_words(function):
    import torch

    logits, targets = torch.zeros(2, 3), torch.ones(2, 3)
    assert refusal(TypeError, function, logits.int(), targets) == (
        "logits: got dtype int32; allowed are float16, bfloat16, float32, float64"
    )
    assert refusal(ValueError, function, logits, targets[0]) == (
        "targets: got shape (3,), logits have shape (2, 3); they must be equal, nothing is broadcast"
    )
    for dtype in (torch.float32, torch.bfloat16):
        bad = torch.tensor([[0.0, 1.0, 0.5], [1.0, -0.5, 3.0]], dtype=dtype)
        assert refusal(ValueError, function, logits, bad) == (
            "targets: got -0.5 at position (1, 1); it is in [0, 1] (encoding='binary')"
        )
    assert refusal(TypeError, function, logits, targets.to(torch.complex64)) == (
        "targets: got dtype complex64; allowed are bool, integers and real floats"
    )
    assert refusal(ValueError, function, logits, targets, gamma=torch.tensor([[1.0], [-1.0]])) == (
        "gamma: got -1.0 at position (1, 0); it is finite and >= 0"
    )
    assert refusal(ValueError, function, logits, targets, alpha=torch.ones(2)) == (
        "alpha: got shape (2,), which does not broadcast to the logits' shape (2, 3)"
    )


def test_torch_refuses_a_normalizer_in_the_same_words():
    import torch

    logits, targets = torch.zeros(3), torch.ones(3)
    assert refusal(ValueError, loss, logits, targets, reduction="sum", normalizer=torch.tensor(0)) == (
        f"normalizer: got 0.0; {NORMALIZER}"
    )
    assert refusal(TypeError, loss, logits, targets, reduction="sum", normalizer=torch.ones(1)) == (
        "normalizer: got torch.Tensor; it is a number or an array of shape ()"
    )


@pytest.mark.parametrize("name", ["targets", *ALLOWED])
def test_a_tensor_on_another_device_than_the_logits_is_refused_by_name(name):
    import torch

    settings = {"targets": torch.ones(3), name: torch.ones(3, device="meta")}
    targets = settings.pop("targets")
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: .*meta"):
        loss(torch.zeros(3), targets, **settings)


@both_functions
def test_jax_refuses_shapes_dtypes_and_numbers_in_the_same_words(function):
    import jax.numpy as jnp

    logits, targets = jnp.zeros((2, 3)), jnp.ones((2, 3))
    assert refusal(TypeError, function, logits.astype(jnp.int32), targets) == (
        "logits: got dtype int32; allowed are float16, bfloat16, float32, float64"
    )
    assert refusal(ValueError, function, logits, targets[0]) == (
        "targets: got shape (3,), logits have shape (2, 3); they must be equal, nothing is broadcast"
    )
    assert refusal(ValueError, function, logits, targets, alpha=jnp.ones(2)) == (
        "alpha: got shape (2,), which does not broadcast to the logits' shape (2, 3)"
    )
    assert refusal(ValueError, function, logits, targets, gamma=-1.0) == (f"gamma: got -1.0; it is {ALLOWED['gamma']}")
    assert refusal(ValueError, function, logits, targets, encoding="x") == (
        "encoding: got 'x'; allowed are 'binary', 'signed'"
    )
