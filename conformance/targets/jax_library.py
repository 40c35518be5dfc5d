"""How the suite drives JAX."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.detection import LOOPING
from focal_ref.conformance.targets.library import Function, Library, Native, constants_and_arrays


class JaxLibrary(Library):
    """JAX, eager or under jit."""

    variants = ("", "jit")
    compiles = True

    def scope(self, dtype: str) -> AbstractContextManager[Any]:
        import jax

        return jax.enable_x64(True) if dtype == "float64" else nullcontext()

    def called(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        if self.variant != "jit":
            return function(logits, targets, **keywords)
        constants, arrays = constants_and_arrays(self.as_inputs(keywords))
        return _jitted(function, "value", constants)(logits, targets, arrays, None)

    def stacked(self, numbers: list[Native]) -> Native:
        """Arrays of shape () as one of one dimension."""
        import jax.numpy as jnp

        return jnp.stack(numbers)

    def evaluated(
        self, function: Callable[..., dict[str, Native]], arrays: dict[str, Native], options: dict[str, Any]
    ) -> dict[str, Native]:
        # Outside jit every call compiles its loop anew, so that those functions run compiled in both variants.
        if self.variant != "jit" and getattr(function, "__name__", "") not in LOOPING:
            return function(arrays, **options)
        return _jitted_results(function, tuple(sorted(options.items())))(arrays)  # type: ignore[no-any-return]

    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        seed = None if upstream is None else self.native(upstream)
        if self.variant == "jit":
            constants, arrays = constants_and_arrays(self.as_inputs(keywords))
            return _jitted(function, "gradient", constants)(logits, targets, arrays, seed)  # type: ignore[no-any-return]
        return _jax_gradient(function, (), logits, targets, keywords, seed)

    def eager_gradient(self, function: Function, argument: Native) -> Native:
        """Derivative of the sum of ``function(argument, None)``; compiled, as the transforms are."""
        import jax

        return jax.jit(jax.grad(lambda leaf: function(leaf, None).sum()))(argument)

    def second_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> Native:
        """Diagonal of the Hessian: the gradient of the sum of the gradient."""
        import jax

        def gradient_sum(x: Native) -> Native:
            return jax.grad(lambda y: function(y, targets, **keywords).sum())(x).sum()

        return jax.grad(gradient_sum)(logits)

    def hessian(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        """Hessians of the results of rows, one class after the other; compiled, with numbers as inputs."""
        constants, arrays = constants_and_arrays(self.as_inputs(keywords))
        return _jitted(function, "hessian", constants)(logits, targets, arrays, None)

    def parameter_gradient(
        self,
        function: Function,
        name: str,
        logits: Native,
        targets: Native,
        keywords: dict[str, Any],
        leaf: Native,
    ) -> Native:
        """Derivative of the sum of the results with respect to one of the other arguments."""
        others = {key: value for key, value in keywords.items() if key != name}
        if self.variant == "jit":
            constants, arrays = constants_and_arrays(self.as_inputs(others))
            return _jitted(function, name, constants)(logits, targets, {**arrays, name: leaf}, None)
        constants, arrays = constants_and_arrays(others)
        return _jax_parameter_gradient(name, function, constants, logits, targets, {**arrays, name: leaf}, None)

    def row_parameter_gradient(
        self,
        function: Function,
        name: str,
        logits: Native,
        targets: Native,
        keywords: dict[str, Any],
        leaf: Native,
    ) -> Native:
        """Derivative of each row's result with respect to a hyper-parameter that the rows share."""
        import jax

        def row(shared: Native, x: Native, t: Native) -> Native:
            return function(x, t, **{**keywords, name: shared})

        return jax.vmap(jax.grad(row), in_axes=(None, 0, 0))(leaf, logits, targets)

    def forward_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], tangent: Native
    ) -> Native:
        """Derivative along a tangent."""
        import jax

        return jax.jvp(lambda x: function(x, targets, **keywords), (logits,), (tangent,))[1]

    def mapped(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Values and gradients of the rows, under vmap; also over the rows of parameters."""
        import jax

        constants, arrays = constants_and_arrays(keywords)

        def row(x: Native, t: Native, given: dict[str, Any]) -> Native:
            return function(x, t, **dict(constants), **given)

        return (
            jax.vmap(row)(logits, targets, arrays),
            jax.vmap(jax.grad(lambda x, t, given: row(x, t, given).sum()))(logits, targets, arrays),
        )

    def compiled(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Value and gradient under jit."""
        constants, arrays = constants_and_arrays(keywords)
        return _jitted(function, "gradient", constants)(logits, targets, arrays, None)  # type: ignore[no-any-return]

    def on_parts(
        self, function: Function, logits: Array, targets: Array, keywords: dict[str, Any], axis: int
    ) -> tuple[Native, Native]:
        """Value and gradient under jit, of arrays that are divided over all devices of this process along an axis."""
        import jax
        import numpy as np
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        mesh = Mesh(np.array(jax.devices()), ("devices",))

        def placed(array: Any, along: int | None) -> Native:
            names = () if along is None or along >= np.ndim(array) else (*[None] * along, "devices")
            spec = PartitionSpec(*names)  # type: ignore[no-untyped-call]
            return jax.device_put(array, NamedSharding(mesh, spec))

        divided = placed(logits, axis)
        if divided.sharding.shard_shape(divided.shape) == divided.shape:
            raise RuntimeError(f"logits of shape {divided.shape} are not divided over {len(mesh.devices)} devices")
        constants, arrays = constants_and_arrays(keywords)
        everywhere = {name: placed(array, None) for name, array in arrays.items()}
        value, gradient = _jitted(function, "gradient", constants)(divided, placed(targets, axis), everywhere, None)
        return value, gradient


_JITTED: dict[Any, Function] = {}


def _jitted(function: Function, quantity: str, constants: tuple[tuple[str, Any], ...]) -> Function:
    import jax

    key = (function, quantity, constants)
    if key not in _JITTED:
        named = {"value": _jax_value, "gradient": _jax_gradient, "hessian": _jax_hessian}
        inner = named.get(quantity) or partial(_jax_parameter_gradient, quantity)
        _JITTED[key] = jax.jit(partial(inner, function, constants))
    return _JITTED[key]


def _jitted_results(function: Callable[..., dict[str, Native]], options: tuple[tuple[str, Any], ...]) -> Function:
    import jax

    key = (function, "results", options)
    if key not in _JITTED:
        _JITTED[key] = jax.jit(partial(function, **dict(options)))
    return _JITTED[key]


def _jax_value(
    function: Function,
    constants: tuple[tuple[str, Any], ...],
    logits: Native,
    targets: Native,
    arrays: dict[str, Any],
    seed: Native | None,
) -> Native:
    return function(logits, targets, **dict(constants), **arrays)


def _jax_gradient(
    function: Function,
    constants: tuple[tuple[str, Any], ...],
    logits: Native,
    targets: Native,
    arrays: dict[str, Any],
    seed: Native | None,
) -> tuple[Native, Native]:
    import jax
    import jax.numpy as jnp

    value, pullback = jax.vjp(lambda x: function(x, targets, **dict(constants), **arrays), logits)
    cotangent = jnp.ones_like(value) if seed is None else seed.astype(value.dtype)
    return value, pullback(cotangent)[0]


def _jax_hessian(
    function: Function,
    constants: tuple[tuple[str, Any], ...],
    logits: Native,
    targets: Native,
    arrays: dict[str, Any],
    seed: Native | None,
) -> Native:
    import jax
    import jax.numpy as jnp

    def gradient(x: Native) -> Native:
        return jax.grad(lambda y: function(y, targets, **dict(constants), **arrays).sum())(x)

    classes = logits.shape[-1]
    basis = jnp.broadcast_to(jnp.eye(classes, dtype=logits.dtype)[:, None, :], (classes, *logits.shape))
    columns = [jax.jvp(gradient, (logits,), (direction,))[1] for direction in basis]
    return jnp.stack(columns, axis=-1)


def _jax_parameter_gradient(
    name: str,
    function: Function,
    constants: tuple[tuple[str, Any], ...],
    logits: Native,
    targets: Native,
    arrays: dict[str, Any],
    seed: Native | None,
) -> Native:
    """Derivative of the sum of the results with respect to the targets or to one of the arrays."""
    import jax
    import jax.numpy as jnp

    others = {key: value for key, value in arrays.items() if key != name}

    def moved(leaf: Native) -> Native:
        if name == "targets":
            return function(logits, leaf, **dict(constants), **others)
        return function(logits, targets, **dict(constants), **others, **{name: leaf})

    value, pullback = jax.vjp(moved, arrays[name])
    return pullback(jnp.ones_like(value))[0]
