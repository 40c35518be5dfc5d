"""Which adapter owns an array, and what other projects can add."""

import sys
from importlib.metadata import EntryPoint

import array_api_strict
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

import focal_ref.adapters
from focal_ref import loss, value_and_grad
from focal_ref.adapters import Unavailable, adapter_named, adapter_names, adapter_of
from focal_ref.adapters.array_api_strict import ArrayApiStrictAdapter

from ..comparison import assert_within, expected

OURS = ("numpy", "torch", "jax", "cupy", "dask", "array_api_strict")


class SubclassedTensor(torch.Tensor):
    pass


class SubclassedArray(np.ndarray):
    pass


def arrays():
    return {
        "numpy array": ("numpy", np.zeros(2)),
        "numpy scalar": ("numpy", np.float32(1)),
        "numpy subclass": ("numpy", np.zeros(2).view(SubclassedArray)),
        "masked array": ("numpy", np.ma.masked_array(np.zeros(2))),
        "bfloat16 scalar": ("numpy", ml_dtypes.bfloat16(1)),
        "tensor": ("torch", torch.zeros(2)),
        "parameter": ("torch", torch.nn.Parameter(torch.zeros(2))),
        "buffer": ("torch", torch.nn.Buffer(torch.zeros(2))),
        "tensor subclass": ("torch", torch.zeros(2).as_subclass(SubclassedTensor)),
        "jax array": ("jax", jnp.zeros(2)),
        "strict array": ("array_api_strict", array_api_strict.zeros(2)),
    }


@pytest.mark.parametrize("kind", arrays())
def test_an_array_belongs_to_the_adapter_of_its_library(kind):
    name, array = arrays()[kind]
    adapter = adapter_of(array)
    assert adapter.name == name
    assert adapter.owns(type(array))
    assert adapter is adapter_named(name)
    assert adapter is adapter_of(array)


def test_a_traced_jax_array_belongs_to_jax():
    import jax

    names = []
    jax.make_jaxpr(lambda array: names.append(adapter_of(array).name) or array)(jnp.zeros(2))
    jax.vmap(lambda array: names.append(adapter_of(array).name) or array)(jnp.zeros(2))
    jax.grad(lambda array: names.append(adapter_of(array).name) or array)(0.0)
    assert names == ["jax"] * 3


@pytest.mark.parametrize("value", [[0.0], 0.0, None, "array", object()])
def test_what_is_no_array_is_refused_with_the_libraries_that_there_are(value):
    with pytest.raises(TypeError) as raised:
        adapter_of(value)
    assert str(raised.value) == (
        f"logits: got builtins.{type(value).__name__}; pass an array of {', '.join(OURS)}, or of a library that "
        "follows the Array API standard"
    )


def test_a_type_of_ones_own_that_is_no_array_is_refused_by_its_full_name():
    class Picture:
        pass

    with pytest.raises(TypeError, match=r"got .*test_lookup\.test_a_type_of.*<locals>\.Picture; pass an array of"):
        adapter_of(Picture())


def test_all_names_are_listed_and_each_adapter_has_its_own():
    assert adapter_names()[: len(OURS)] == OURS
    for name in set(OURS) - {"cupy"}:
        assert adapter_named(name).name == name
        assert adapter_named(name).version()
        adapter_named(name).check_device("cpu")


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError, match="nosuchlibrary"):
        adapter_named("nosuchlibrary")


def test_a_library_that_is_not_installed_is_unavailable_with_the_reason(monkeypatch):
    # None makes the import fail, on a machine that has CuPy too.
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "focal_ref.adapters.cupy", raising=False)
    monkeypatch.setattr(focal_ref.adapters, "_BY_NAME", {})
    with pytest.raises(Unavailable, match=r"^cupy: .*cupy.*; install the build for your CUDA, such as 'pip install"):
        adapter_named("cupy")


def test_any_library_that_cannot_be_imported_is_unavailable_with_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_strict", None)
    monkeypatch.delitem(sys.modules, "focal_ref.adapters.array_api_strict", raising=False)
    monkeypatch.setattr(focal_ref.adapters, "_BY_NAME", {})
    with pytest.raises(Unavailable, match=r"^array_api_strict: .*array_api_strict"):
        adapter_named("array_api_strict")


@pytest.mark.parametrize("name", ["numpy", "torch", "jax", "array_api_strict"])
def test_a_device_that_is_not_there_is_unavailable_with_the_reason(name):
    with pytest.raises(Unavailable, match=rf"^{name}: no device 'nosuchdevice'.+"):
        adapter_named(name).check_device("nosuchdevice")


# Arrays that follow the standard, of a library nobody has heard of


class Wrapped:
    """An array of array_api_strict under another name, by the standard's own protocol."""

    def __init__(self, array):
        self.array = array

    def __array_namespace__(self, *, api_version=None):
        return NAMESPACE

    def __getattr__(self, name):
        attribute = getattr(self.array, name)
        return forwarded(attribute) if callable(attribute) else wrap(attribute)

    def __getitem__(self, key):
        return Wrapped(self.array[unwrap(key)])


def wrap(value):
    if isinstance(value, tuple):
        return tuple(wrap(item) for item in value)
    return Wrapped(value) if isinstance(value, type(array_api_strict.zeros(1))) else value


def unwrap(value):
    if isinstance(value, (tuple, list)):
        return type(value)(unwrap(item) for item in value)
    return value.array if isinstance(value, Wrapped) else value


def forwarded(function):
    def call(*arguments, **settings):
        settings = {name: unwrap(value) for name, value in settings.items()}
        return wrap(function(*(unwrap(argument) for argument in arguments), **settings))

    return call


def forward_operator(name):
    def operator(self, *others):
        return wrap(getattr(self.array, name)(*(unwrap(other) for other in others)))

    setattr(Wrapped, name, operator)


for operation in ("add", "sub", "mul", "truediv", "pow", "and", "or", "xor"):
    forward_operator(f"__{operation}__")
    forward_operator(f"__r{operation}__")
for operation in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"):
    forward_operator(f"__{operation}__")
for operation in ("bool", "float", "int", "index", "complex"):
    forward_operator(f"__{operation}__")


class Namespace:
    def __getattr__(self, name):
        attribute = getattr(array_api_strict, name)
        return forwarded(attribute) if callable(attribute) and not isinstance(attribute, type) else attribute


NAMESPACE = Namespace()


def wrapped(numbers, dtype=None):
    return Wrapped(array_api_strict.asarray(np.asarray(numbers, dtype=dtype)))


def test_an_array_that_only_has_a_namespace_is_computed_by_the_standard():
    logits, targets = np.linspace(-30.0, 30.0, 40), np.arange(40) % 3 == 0
    assert adapter_of(wrapped(logits)).name == "array_api"
    for dtype, bound in (("float64", 13.0), ("float32", 0.501)):
        narrow = logits.astype(dtype)
        wanted = expected(narrow, targets)
        value, gradient = value_and_grad(wrapped(narrow), wrapped(targets))
        assert isinstance(value, Wrapped)
        assert_within(np.asarray(value.array), wanted["value"], bound)
        assert_within(np.asarray(gradient.array), wanted["gradient"], bound)
        assert_within(np.asarray(loss(wrapped(narrow), wrapped(targets)).array), wanted["value"], bound)


def test_an_array_that_only_has_a_namespace_has_sums_and_arrays_of_parameters():
    logits, targets = np.linspace(-3.0, 3.0, 10), np.arange(10) % 3 == 0
    alpha = np.linspace(0.0, 1.0, 10)
    wanted = expected(logits, targets, alpha=alpha)["value"].numbers
    found = loss(wrapped(logits), wrapped(targets), alpha=wrapped(alpha), reduction="sum", normalizer=4)
    np.testing.assert_allclose(float(found.array), wanted.sum() / 4, rtol=1e-14)


def test_the_data_of_an_unknown_library_are_not_read_so_that_bad_ones_give_nan():
    value, gradient = value_and_grad(wrapped([0.0, 0.0, 0.0]), wrapped([0.0, 1.5, 1.0]))
    for result in (value, gradient):
        assert np.isnan(np.asarray(result.array)).tolist() == [False, True, False]


def test_arrays_of_an_unknown_library_are_refused_for_their_shapes_and_dtypes_like_others():
    with pytest.raises(ValueError, match=r"^targets: got shape \(2,\), logits have shape \(3,\)"):
        loss(wrapped([0.0] * 3), wrapped([1.0] * 2))
    with pytest.raises(TypeError, match=r"^logits: got dtype int64; allowed are"):
        loss(wrapped([1, 2]), wrapped([1, 0]))


# Adapters of other projects


class ThirdParty(ArrayApiStrictAdapter):
    name = "thirdparty"
    modules = ("thirdparty_arrays",)

    def loss(self, logits, targets, parameters):
        return f"computed by {self.name}"


class ThirdPartyArray(Wrapped):
    """Looks like an array of a library that this project's table does not know."""


ThirdPartyArray.__module__ = "thirdparty_arrays.core"


@pytest.fixture
def third_party(monkeypatch):
    entry = EntryPoint("thirdparty", "thirdparty_arrays.adapter:ThirdParty", "focal_ref.adapters")
    monkeypatch.setattr(EntryPoint, "load", lambda self: ThirdParty)
    monkeypatch.setattr(
        focal_ref.adapters, "entry_points", lambda *, group: [entry] if group == "focal_ref.adapters" else []
    )
    monkeypatch.setattr(focal_ref.adapters, "_BY_NAME", {})
    monkeypatch.setattr(focal_ref.adapters, "_BY_TYPE", {})
    return ThirdPartyArray(array_api_strict.zeros(2))


def test_an_adapter_of_an_entry_point_owns_the_arrays_of_its_modules(third_party):
    assert isinstance(adapter_of(third_party), ThirdParty)
    assert loss(third_party, ThirdPartyArray(array_api_strict.ones(2))) == "computed by thirdparty"


def test_an_adapter_of_an_entry_point_is_found_by_name_and_listed_last(third_party):
    assert adapter_names() == (*OURS, "thirdparty")
    assert isinstance(adapter_named("thirdparty"), ThirdParty)


def test_an_adapter_of_an_entry_point_does_not_take_over_known_libraries(third_party):
    assert adapter_of(np.zeros(2)).name == "numpy"
    assert adapter_of(torch.zeros(2)).name == "torch"


def test_the_entry_points_are_not_searched_again_for_a_type_that_is_known(third_party, monkeypatch):
    adapter = adapter_of(third_party)
    monkeypatch.setattr(focal_ref.adapters, "entry_points", None)
    assert adapter_of(third_party) is adapter
