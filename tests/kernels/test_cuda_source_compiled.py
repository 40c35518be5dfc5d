"""CuPy's kernels as NVIDIA's compiler sees them: every variant compiles, to the operations of the source alone."""

import itertools
import re

import pytest

from focal_ref.adapters import _cupy_source as source
from focal_ref.adapters._cupy_source import FLOATS, INTEGERS, OPTIONS, Variant

from .cuda_compilers import MISSING, compiler

RESULTS = [
    (("value",), False),
    (("value",), True),
    (("value", "gradient"), False),
    (("value", "gradient"), True),
    (("second",), False),
]
TARGETS = [
    *((name, "binary") for name in INTEGERS),
    *((name, "signed") for name in ("int8", "int64", *FLOATS)),
    *((name, "binary") for name in FLOATS),
    *((name, "labels") for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")),
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    found = compiler(tmp_path_factory.mktemp("cuda"))
    if found is None:
        pytest.skip(MISSING)
    return found


def variants():
    """Every format and exponent with every result, and every kind of target."""
    arithmetics = [(logits, "float64") for logits in FLOATS] + [(logits, "float32") for logits in list(FLOATS)[1:]]
    for (logits, arithmetic), exponent, given in itertools.product(arithmetics, (0.0, 1.0, 2.0, None), RESULTS):
        yield Variant(logits, "bool", "binary", arithmetic, exponent, *given)
    for targets, encoding in TARGETS:
        yield Variant("float32", targets, encoding, "float32", 2.0, ("value", "gradient"), True)
    for exponent in (0.0, 1.0, 2.0):
        yield Variant("bfloat16", "float32", "binary", "float64", exponent, ("value", "gradient"), False)


def assert_only_what_the_source_says(ptx):
    # Without ".rn" the assembler may join a product and a sum.
    assert not re.findall(r"\b(?:mul|add|sub|fma|div)\.(?!rn\b)[\w.]*f(?:32|64)", ptx)
    assert not re.findall(r"\.ftz|\.approx|\.full|\bmad\.[\w.]*f(?:32|64)", ptx)
    # Arrays of a thread stay in registers, and nothing is called.
    assert not re.findall(r"\.local\b|\bcall\b", ptx)
    assert not re.findall(r"\batom\.|\bred\.", ptx)


def test_every_variant_compiles_to_the_operations_of_its_source(compiled):
    texts = {f"focal_{number}": (variant, source.pass_source(variant)) for number, variant in enumerate(variants())}
    # All in one file: a compiler takes longer to start than for a kernel.
    code = "".join(
        f"namespace in_{name} {{\n{text.replace(' focal(', f' {name}(')}}}\n" for name, (_, text) in texts.items()
    )
    kernels = re.split(r"\.visible \.entry (\w+)\(", compiled(code, OPTIONS))[1:]
    assert set(kernels[::2]) == set(texts)
    for name, ptx in zip(kernels[::2], kernels[1::2], strict=True):
        variant, text = texts[name]
        assert_only_what_the_source_says(ptx)
        asked, found = len(re.findall(r"\bfmaf?\(", text)), len(re.findall(r"\bfma\.rn\.f", ptx))
        assert asked > 10
        # One for each step of a thread; a loop may be there twice, for each outcome of a condition that never changes.
        if variant.exponent is None:
            assert found >= source.STEPS * asked, variant
        else:
            assert found == source.STEPS * asked, variant


@pytest.mark.parametrize("result", ["float64", "float32"])
def test_the_kernel_that_finishes_a_sum_compiles(compiled, result):
    ptx = compiled(source.finish_source(result), OPTIONS)
    assert_only_what_the_source_says(ptx)
    assert "fma" not in ptx


def test_the_options_are_what_keeps_operations_apart(compiled):
    text = source.pass_source(Variant("float32", "bool", "binary", "float32", 2.0, ("value",), False))
    for options in (("--std=c++17",), (*OPTIONS[:2], "--ftz=true")):
        with pytest.raises(AssertionError):
            assert_only_what_the_source_says(compiled(text, options))
