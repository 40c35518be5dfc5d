"""What Triton makes of the kernels for an H100: read, not run, as that takes no GPU."""

import re
import subprocess
from pathlib import Path

import pytest

triton = pytest.importorskip("triton")

import triton.language as tl  # noqa: E402  (after the skip)
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from focal_ref._kernels.expressions import element_lines, row_lines  # noqa: E402
from focal_ref._kernels.expressions import triton as language  # noqa: E402
from focal_ref.adapters import _torch_triton_softmax as launch  # noqa: E402
from focal_ref.adapters import _triton_kernels as kernels  # noqa: E402
from focal_ref.adapters import _triton_softmax as softmax  # noqa: E402

H100 = GPUTarget("cuda", 90, 32)
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
FORMATS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "float64": "fp64"}
NUMBERS = dict.fromkeys(("positive_weight", "negative_weight", "gamma", "gamma_tail", "factor"), "i64")


def compiled(function, pointers, constants, warps):
    names = function.arg_names
    types = {name: "constexpr" if name in constants else pointers.get(name, NUMBERS.get(name, "i32")) for name in names}
    # What a launch finds out of its arguments: addresses and sizes that 16 divides.
    even = {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if types[n].startswith("*") or n == "size"}
    source = ASTSource(function, types, {(names.index(name),): value for name, value in constants.items()}, even)
    return triton.compile(source, target=H100, options=kernels.OPTIONS | {"num_warps": warps})


def losses(storage, arithmetic, encoding, results, summed):
    narrowed = not summed and storage != "float64"
    hard, soft = kernels.element_functions(arithmetic, 2.0, narrowed, results, encoding == "soft")
    constants = {
        "HARD": hard,
        "SOFT": soft,
        "ENCODING": encoding,
        "WORKING": getattr(tl, arithmetic),
        "WITH_UPSTREAM": False,
        "WITH_VALUE": "value" in results and not summed,
        "WITH_GRADIENT": "gradient" in results,
        "WITH_SECOND": "second" in results,
        "WITH_SUM": summed,
        "PLAIN": True,
        "RANK": 2 if encoding == "labels" else 1,
        "WIDE": False,
        "PIECE": kernels.PIECE,
        "LEVELS": 11,
    } | ({} if encoding == "labels" else {"target_stride0": 1})
    target = {"labels": "*i64", "binary": "*u8", "soft": "*fp32"}[encoding]
    outputs = dict.fromkeys(("logits", "value", "gradient", "second"), f"*{FORMATS[storage]}")
    pointers = {**outputs, "targets": target, "upstream": "*fp64", "sums": "*fp64"}
    warps = kernels.warps(arithmetic, results, encoding == "soft")
    return compiled(kernels.losses, pointers, constants, warps), kernels.PIECE // (32 * warps)


def resources(kernel, tmp_path):
    (tmp_path / "kernel.cubin").write_bytes(kernel.asm["cubin"])
    command = [TOOLS / "cuobjdump", "--dump-resource-usage", tmp_path / "kernel.cubin"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(number) for name, number in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}


CASES = [
    ("float32", "float64", "labels", ("value",), True),
    ("float32", "float64", "labels", ("gradient",), False),
    ("float32", "float64", "labels", ("value", "gradient"), True),
    ("float32", "float32", "labels", ("value", "gradient"), True),
    ("float32", "float64", "binary", ("value", "gradient"), False),
    ("bfloat16", "float64", "labels", ("value", "gradient"), True),
    ("float16", "float32", "binary", ("gradient",), False),
    ("float64", "float64", "binary", ("value",), True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_no_product_is_joined_with_a_sum_but_where_the_closed_forms_say_so(case):
    storage, arithmetic, _, results, summed = case
    kernel, elements = losses(*case)
    lines = element_lines(
        language(arithmetic), arithmetic, 2.0, narrowed=not summed and storage != "float64", results=results
    )
    asked = sum("tl.fma(" in line for line in lines)
    kind = "f64" if arithmetic == "float64" else "f32"
    assert asked > 10
    assert len(re.findall(rf"\bfma\.rn\.{kind}\b", kernel.asm["ptx"])) == asked * elements
    assert not re.findall(r"\bfma\.\w*(ftz|rz|rm|rp)|\bmad\.f", kernel.asm["ptx"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_what_is_under_way_stays_in_registers(case, tmp_path):
    kernel, _ = losses(*case)
    used = resources(kernel, tmp_path)
    assert used["STACK"] == 0
    assert used["LOCAL"] == 0
    # A multiprocessor has 65,536: four programs of eight warps, or more, fit on it only with 64 registers; two do.
    assert used["REG"] <= 132


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_logits_are_read_sixteen_bytes_at_a_time_and_nothing_is_added_atomically(case):
    kernel, _ = losses(*case)
    text = kernel.asm["ptx"]
    assert re.search(r"ld\.global\.v(4\.b32|2\.b64)", text)
    assert not re.search(r"\b(atom|red)\.", text)


def test_quotients_and_float32_of_fast_precision_are_rounded_as_the_standard_says():
    kernel, _ = losses("float32", "float32", "binary", ("value", "gradient"), False)
    text = kernel.asm["ptx"]
    assert "div.rn.f32" in text
    assert not re.search(r"div\.(full|approx)|\.ftz|ex2\.approx|lg2\.approx", text)


@pytest.mark.parametrize("storage", FORMATS)
def test_the_softmax_compiles_without_a_spill(storage, tmp_path):
    pointers = {
        **dict.fromkeys(("logits", "value", "gradient"), f"*{FORMATS[storage]}"),
        "labels": "*i64",
        "shares": "*fp64",
        "upstream": "*fp64",
    }
    constants = {
        "EXPONENTIAL": softmax.exponential_function(),
        "ROW": softmax.row_function(2.0, True),
        "WITH_SHARES": False,
        "WITH_UPSTREAM": False,
        "WITH_VALUE": True,
        "WITH_GRADIENT": True,
        "ROWS": launch.LOGITS_A_PROGRAM // 128,
        "PART": 128,
        "class_stride": 1,
    }
    kernel = compiled(softmax.rows, pointers, constants, launch.WARPS)
    assert resources(kernel, tmp_path)["STACK"] == 0
    assert any("tl.fma(" in line for line in row_lines(language("float64"), 2.0, narrowed=True))
    assert not re.search(r"\b(atom|red)\.", kernel.asm["ptx"])


def test_another_alpha_or_gamma_is_no_other_kernel():
    unspecialized = {parameter.name for parameter in kernels.losses.params if parameter.do_not_specialize}
    assert unspecialized == set(NUMBERS)
    assert {parameter.name for parameter in softmax.rows.params if parameter.do_not_specialize} == {"gamma", "factor"}
