"""Who is timed: names as the tables print them, and where their functions are. Imports no library."""

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

OURS = "focal-ref"
SIGMOID = ("labels", "binary")
EVERY = (*SIGMOID, "softmax")


@dataclass(frozen=True)
class Contestant:
    """One row of the tables.

    Attributes
    ----------
    name
        Unique.
    module, variant
        File of this folder, and what its `prepare` and `evaluate` take.
    distributions
        Packages whose versions are recorded.
    precision
        Of the arithmetic.
    targets
        What the timed part is given.
    gives
        What the timed part computes.
    how
        "eager", "torch.compile", "jax.jit" or "Numba".
    kinds
        Of the workloads that it can do.
    formats
        Of the logits.
    """

    name: str
    module: str
    variant: str
    distributions: tuple[str, ...]
    precision: str
    targets: str
    gives: str = "sum, gradient"
    how: str = "eager"
    kinds: tuple[str, ...] = SIGMOID
    formats: tuple[str, ...] = ("float32", "bfloat16")

    @property
    def is_ours(self) -> bool:
        """Whether it is this package."""
        return self.module == "ours"

    @property
    def is_peer(self) -> bool:
        """Neither this package nor the floor."""
        return self.module not in ("ours", "floor")

    @property
    def is_compiled(self) -> bool:
        """A peer under a compiler."""
        return self.is_peer and self.how != "eager"

    def versions(self) -> dict[str, str]:
        """Versions of its packages; raises ImportError with the name of one that is not installed."""
        try:
            return {name: version(name) for name in self.distributions}
        except PackageNotFoundError as error:
            raise ImportError(f"{error.name} is not installed") from None

    def load(self) -> ModuleType:
        """Import its file, and with it its libraries."""
        return importlib.import_module(self.module)


FLOOR = Contestant(
    "streaming floor", "floor", "", ("numba",), "none", "none", "a copy with the sign changed", "Numba", EVERY
)

ADAPTERS = {"numpy": "NumPy", "torch": "PyTorch", "torch_compiled": "PyTorch", "jax": "JAX"}
LIBRARIES = {"numpy": ("numpy", "numba"), "torch": ("torch",), "torch_compiled": ("torch",), "jax": ("jax",)}
COMPILERS = {"torch_compiled": "torch.compile", "jax": "jax.jit"}


def ours(adapter: str, precision: str) -> Contestant:
    """Name this package on one of its libraries."""
    how = COMPILERS.get(adapter, "Numba")
    name = f"focal_ref {precision}, {ADAPTERS[adapter]}" + (f", {how}" if adapter in COMPILERS else "")
    return Contestant(
        name,
        "ours",
        f"{adapter} {precision}",
        (OURS, *LIBRARIES[adapter]),
        precision,
        "labels",
        how=how,
        kinds=EVERY,
    )


def peer(
    library: str,
    module: str,
    variant: str,
    distributions: tuple[str, ...],
    how: str = "eager",
    targets: str = "one-hot given",
    kinds: tuple[str, ...] = SIGMOID,
    formats: tuple[str, ...] = ("float32", "bfloat16"),
    gives: str = "sum, gradient",
) -> Contestant:
    """Another package."""
    name = f"{library}, {how}" + (", one-hot built" if targets == "one-hot built" else "")
    return Contestant(name, module, variant, distributions, "of the logits", targets, gives, how, kinds, formats)


OURS_ALL = tuple(ours(adapter, precision) for adapter in ADAPTERS for precision in ("exact", "fast"))
EXACT, FAST = (ours("numpy", precision) for precision in ("exact", "fast"))

_TORCH, _JAX = ("torch",), ("jax",)
_SOFTMAX = ("softmax",)
_ROWS = ("labels", _SOFTMAX)
_SINGLE = ("float32",)
_EACH = "each value, gradient"
_BUILT = "one-hot built"

# Those that matter most stand first: they are timed in one heat with ours.
PEERS = (
    peer("torchvision", "torch_peers", "torchvision compiled", ("torchvision", *_TORCH), "torch.compile"),
    peer("stable formula in PyTorch", "torch_peers", "formula", _TORCH, "torch.compile", "labels"),
    peer("stable formula in JAX", "jax_peers", "formula", _JAX, "jax.jit", "labels"),
    peer("torchvision", "torch_peers", "torchvision", ("torchvision", *_TORCH)),
    peer("torchvision", "torch_peers", "torchvision built", ("torchvision", *_TORCH), "eager", _BUILT, ("labels",)),
    peer("fvcore", "torch_peers", "fvcore", ("fvcore", *_TORCH)),
    peer("kornia", "torch_peers", "kornia", ("kornia", *_TORCH)),
    peer("MONAI", "torch_peers", "monai", ("monai", *_TORCH)),
    peer("DETR (transformers)", "torch_peers", "detr", ("transformers", *_TORCH)),
    peer("keras on PyTorch", "torch_peers", "keras", ("keras", *_TORCH), formats=_SINGLE),
    peer("keras on JAX", "jax_peers", "keras", ("keras", *_JAX), "jax.jit", formats=_SINGLE),
    peer("optax", "jax_peers", "optax", ("optax", *_JAX), "jax.jit"),
    peer("optax", "jax_peers", "optax built", ("optax", *_JAX), "jax.jit", _BUILT, ("labels",)),
    peer("stable formula in NumPy", "numpy_peer", "", ("numpy",), formats=_SINGLE, gives=_EACH),
    peer("cross entropy in PyTorch", "softmax_peers", "cross_entropy compiled", _TORCH, "torch.compile", *_ROWS),
    peer("log_softmax in JAX", "jax_peers", "softmax", _JAX, "jax.jit", *_ROWS),
    peer("cross entropy in PyTorch", "softmax_peers", "cross_entropy", _TORCH, "eager", *_ROWS),
    peer("kornia softmax", "softmax_peers", "kornia", ("kornia", *_TORCH), "eager", *_ROWS),
    peer("MONAI softmax", "softmax_peers", "monai", ("monai", *_TORCH), kinds=_SOFTMAX),
    peer("keras softmax on PyTorch", "softmax_peers", "keras", ("keras", *_TORCH), kinds=_SOFTMAX),
    peer("formula in NumPy", "numpy_peer", "softmax", ("numpy",), "eager", *_ROWS, gives=_EACH),
)

ALL = {each.name: each for each in (FLOOR, *OURS_ALL, *PEERS)}


def able(kind: str, storage: str) -> tuple[Contestant, ...]:
    """Those that can do a kind of workload in a format, the floor and ours first."""
    return tuple(each for each in ALL.values() if kind in each.kinds and storage in each.formats)


def chosen(kind: str, storage: str, *variants: str) -> tuple[Contestant, ...]:
    """Ours, the floor, and of the peers those named by their variant with "module.variant"."""
    return tuple(
        each for each in able(kind, storage) if not each.is_peer or f"{each.module}.{each.variant}" in variants
    )
