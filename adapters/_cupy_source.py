"""CUDA C++ of one pass over logits: losses and derivatives of targets or labels, and their sum.

What is computed for an element is generated from the closed forms (`focal_ref._kernels.expressions`); around it stands
what a thread reads and writes. Compiled with `OPTIONS`, no operation is fused, flushed to zero or approximated that the
forms do not say so of, so results have the bits of the loops on a CPU with fused multiply-adds. Sums are added up in
the order of those loops too (`focal_ref._kernels.contiguous`), which depends on the number of logits alone. Not yet run
on a GPU.
"""

from functools import cache
from typing import NamedTuple

from focal_ref._kernels.expressions import cuda, element_lines, soft_element_lines

OPTIONS = ("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true")
"""What NVRTC is told. CuPy's own kernels flush subnormal float32 to zero."""

THREADS = 512
STEPS = 4
PIECE = THREADS * STEPS
"""Elements that a block computes at a time and adds up to one partial sum."""

PIECES_A_RUN = 64
"""Partial sums that one sum of the next level is made of."""

FINISHING_THREADS = 1024

FLOATS = {"float64": "double", "float32": "float", "float16": "unsigned short", "bfloat16": "unsigned short"}
"""How each format arrives in a kernel: 16-bit floats as their bits."""

INTEGERS = {
    "bool": "unsigned char",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
}


class Variant(NamedTuple):
    """What one kernel is made for.

    Attributes
    ----------
    logits
        Format of logits and results, a key of `FLOATS`.
    targets
        Name of the targets' dtype, a key of `INTEGERS` or `FLOATS`.
    encoding
        "binary", "signed" or "labels", as in `Parameters`.
    arithmetic
        "float64" or "float32".
    exponent
        A member of `focal_ref._formulas.SPECIAL_EXPONENTS`, or None for any gamma.
    results
        Which of "value", "gradient" and "second" are computed, in this order.
    summed
        Whether the values are added up; they are not written then.
    """

    logits: str
    targets: str
    encoding: str
    arithmetic: str
    exponent: float | None
    results: tuple[str, ...]
    summed: bool

    @property
    def soft(self) -> bool:
        """Whether targets may lie between the classes, of which there are forms for special gammas, value and gradient.

        Where there are none, such a target gives NaN.
        """
        return (
            self.encoding == "binary"
            and self.targets in FLOATS
            and self.exponent is not None
            and "second" not in self.results
        )

    @property
    def written(self) -> tuple[str, ...]:
        """The results that the kernel writes for each element."""
        return tuple(name for name in self.results if not (self.summed and name == "value"))


def pass_parameters(variant: Variant) -> tuple[tuple[str, str], ...]:
    """Types and names of the parameters of the kernel ``focal``.

    Arrays are contiguous. With a sum, gradients are divided by `divisor`, or by the number that `normalizer` points to
    unless it is null. `sums` receives one sum for each `PIECE`.
    """
    working, stored = FLOATS[variant.arithmetic], FLOATS[variant.logits]
    targets = (INTEGERS | FLOATS)[variant.targets]
    shape = ["size", "classes", "rows"] if variant.encoding == "labels" else ["size"]
    numbers = ["positive_weight", "negative_weight", "gamma", "gamma_tail"]
    return (
        *(("long long", name) for name in shape),
        (f"const {stored}* __restrict__", "logits"),
        (f"const {targets}* __restrict__", "targets"),
        *((working, name) for name in numbers),
        *(_DIVISION if variant.summed and variant.written else ()),
        *((f"{stored}* __restrict__", f"{name}_out") for name in variant.written),
        *([("double* __restrict__", "sums")] if variant.summed else []),
    )


_DIVISION = (("double", "divisor"), ("const double*", "normalizer"))


def finish_parameters(result: str) -> tuple[tuple[str, str], ...]:
    """Types and names of the parameters of the kernel ``finish``, whose `sums` are overwritten."""
    return (
        ("long long", "pieces"),
        ("double*", "sums"),
        *_DIVISION,
        (f"{FLOATS[result]}*", "result"),
    )


@cache
def pass_source(variant: Variant) -> str:
    """Source of the kernel ``focal``, for blocks of `THREADS` and any number of them."""
    working = FLOATS[variant.arithmetic]
    narrowed = "value" in variant.written and variant.logits != "float64"
    forms = element_lines(
        cuda(variant.arithmetic), variant.arithmetic, variant.exponent, narrowed=narrowed, results=variant.results
    )
    labelled = variant.encoding == "labels"
    divided = variant.summed and variant.written
    upstream = f"({working})(1.0 / (normalizer ? *normalizer : divisor))" if divided else "1"
    stores = [f"{name}_out[index] = stored_result({name}_kept);" for name in variant.written]
    lines = [
        _prelude(variant),
        _signature("focal", THREADS, pass_parameters(variant)),
        "{",
        *([f"  const {working} upstream = {upstream};"] if variant.results != ("value",) else []),
        *([f"  __shared__ double terms[{THREADS}];"] if variant.summed else []),
        *(_FIRST_ROW if labelled else []),
        f"  const long long pieces = (size + {PIECE - 1}) / {PIECE};",
        "  for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x) {",
        f"    const long long first = piece * {PIECE} + threadIdx.x;",
        *_indented(4, _loads(variant)),
        *([f"    double own[{STEPS}];"] if variant.summed else []),
        "    #pragma unroll",
        f"    for (int step = 0; step < {STEPS}; ++step) {{",
        f"      const {working} logit = widened(logits_read[step]);",
        *_indented(6, _meaning(variant)),
        *_indented(6, _soft_or_hard(variant, narrowed, forms) if variant.soft else forms),
        *(f"      const {working} {name}_kept = {_blanked(variant, name)};" for name in variant.results),
        *(
            _indented(6, [f"const long long index = first + step * {THREADS};", "if (index < size) {"])
            if stores
            else []
        ),
        *([*_indented(8, stores), "      }"] if stores else []),
        *([f"      own[step] = first + step * {THREADS} < size ? (double)value_kept : 0.0;"] if variant.summed else []),
        "    }",
        *(_PARTIAL_SUM if variant.summed else []),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


@cache
def finish_source(result: str) -> str:
    """Source of the kernel ``finish``, for one block of `FINISHING_THREADS`: the sum in the format of the result."""
    return "\n".join(
        [
            _signature("finish", FINISHING_THREADS, finish_parameters(result)),
            _FINISH.replace("RESULT", FLOATS[result]).replace("THREADS", str(FINISHING_THREADS)),
        ]
    )


def _signature(name: str, threads: int, parameters: tuple[tuple[str, str], ...]) -> str:
    given = ",\n    ".join(f"{kind} {parameter}" for kind, parameter in parameters)
    return f'extern "C" __global__ void __launch_bounds__({threads}) {name}(\n    {given})'


def _indented(width: int, lines: list[str]) -> list[str]:
    return [" " * width + line for line in lines]


def _loads(variant: Variant) -> list[str]:
    """Reads of a thread's elements before anything is computed, so that they wait for the memory together."""
    labelled = variant.encoding == "labels"
    lines = [
        f"{FLOATS[variant.logits]} logits_read[{STEPS}];",
        f"{(INTEGERS | FLOATS)[variant.targets]} targets_read[{STEPS}];",
        *([f"long long columns[{STEPS}];", "Place at = start;"] if labelled else []),
        "#pragma unroll",
        f"for (int step = 0; step < {STEPS}; ++step) {{",
        # Beyond the end the last element is read again, and nothing written.
        f"  const long long index = first + step * {THREADS};",
        "  logits_read[step] = logits[index < size ? index : size - 1];",
    ]
    if labelled:
        lines += [
            "  targets_read[step] = targets[at.row < rows ? at.row : rows - 1];",
            "  columns[step] = at.column;",
            "  at = moved(at, a_step, classes);",
        ]
    else:
        lines += ["  targets_read[step] = targets[index < size ? index : size - 1];"]
    return [*lines, "}", *(["start = moved(start, a_round, classes);"] if labelled else [])]


def _meaning(variant: Variant) -> list[str]:
    """Whether an element is positive, and what it counts where its target is not right."""
    if variant.encoding == "labels":
        return [
            "const long long label = (long long)targets_read[step];",
            "const bool is_positive = label == columns[step];",
            "const bool is_ignored = label == -2;",
            "const bool is_wrong = label < -2 || label >= classes;",
        ]
    if variant.targets == "bool":
        return ["const bool is_positive = targets_read[step] != 0;"]
    kind = (INTEGERS | FLOATS)[variant.targets]
    read = "targets_read[step]"
    if variant.targets in ("float16", "bfloat16"):
        kind, read = "float", f"from_{variant.targets}(targets_read[step])"
    if variant.soft:
        return [
            f"const {kind} given_target = {read};",
            "const bool is_positive = given_target == 1;",
            "const bool is_wrong = !(given_target >= 0 && given_target <= 1);",
        ]
    low = -1 if variant.encoding == "signed" else 0
    return [
        f"const {kind} target = {read};",
        "const bool is_positive = target == 1;",
        f"const bool is_wrong = !(is_positive || target == {low});",
    ]


def _soft_or_hard(variant: Variant, narrowed: bool, forms: list[str]) -> list[str]:
    """The results by the forms for hard targets, which are shorter, or by those for targets between the classes."""
    working = FLOATS[variant.arithmetic]
    assert variant.exponent is not None
    soft = soft_element_lines(
        cuda(variant.arithmetic), variant.arithmetic, variant.exponent, narrowed=narrowed, results=variant.results
    )
    ends = [f"{name}_either = {name};" for name in variant.results]
    return [
        *(f"{working} {name}_either;" for name in variant.results),
        "if (is_positive || given_target == 0) {",
        *_indented(2, [*forms, *ends]),
        "} else {",
        *_indented(2, [f"const {working} target = ({working})given_target;", *soft, *ends]),
        "}",
    ]


def _blanked(variant: Variant, name: str) -> str:
    """A result, zero where the label says to ignore, and NaN where the target is none."""
    if variant.targets == "bool":
        return name
    missing = "__longlong_as_double(0x7ff8000000000000LL)"
    if variant.arithmetic == "float32":
        missing = "__int_as_float(0x7fc00000)"
    kept = f"is_wrong ? {missing} : {name}{'_either' if variant.soft else ''}"
    return f"is_ignored ? 0 : ({kept})" if variant.encoding == "labels" else kept


def _prelude(variant: Variant) -> str:
    """The functions that a kernel needs: reading and rounding its formats."""
    working, stored = FLOATS[variant.arithmetic], FLOATS[variant.logits]
    narrow = [name for name in ("float16", "bfloat16") if name in (variant.logits, variant.targets)]
    if variant.encoding == "labels":
        narrow = [name for name in narrow if name == variant.logits]
    parts = [_FROM[name] for name in narrow]
    read = f"from_{variant.logits}(stored)" if variant.logits in _FROM else "stored"
    parts.append(f"static __device__ __forceinline__ {working} widened({stored} stored) {{ return {read}; }}\n")
    if variant.written:
        rounded = f"({stored})result"
        if variant.logits in _TO:
            odd = variant.arithmetic == "float64"
            parts += [_TO[variant.logits], *([_TO_ODD] if odd else [])]
            rounded = f"to_{variant.logits}({'rounded_to_odd(result)' if odd else 'result'})"
        parts.append(
            f"static __device__ __forceinline__ {stored} stored_result({working} result) {{ return {rounded}; }}\n"
        )
    return "".join(parts) + (_PLACES if variant.encoding == "labels" else "")


_FROM = {
    # Moved to the exponent field of a float32 the number is 2^112 too small; multiplying is exact, also for subnormals.
    "float16": """\
static __device__ __forceinline__ float from_float16(unsigned short stored) {
  const unsigned magnitude = stored & 0x7fffu;
  const float finite = __uint_as_float(magnitude << 13) * 0x1p112f;
  const unsigned bits = magnitude >= 0x7c00u ? (magnitude << 13) | 0x7f800000u : __float_as_uint(finite);
  return __uint_as_float(bits | (stored & 0x8000u) << 16);
}
""",
    "bfloat16": """\
static __device__ __forceinline__ float from_bfloat16(unsigned short stored) {
  return __uint_as_float((unsigned)stored << 16);
}
""",
}

_TO = {
    # Below 2^-14, one unit of the sum with 1/2 is one of the subnormal result, so that the addition rounds it.
    "float16": """\
static __device__ __forceinline__ unsigned short to_float16(float wide) {
  const unsigned bits = __float_as_uint(wide), magnitude = bits & 0x7fffffffu;
  const unsigned small = __float_as_uint(__uint_as_float(magnitude) + 0.5f) - 0x3f000000u;
  const unsigned normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  const unsigned finite = magnitude < 0x38800000u ? small : normal < 0x7c00u ? normal : 0x7c00u;
  return (unsigned short)((magnitude > 0x7f800000u ? 0x7e00u : finite) | ((bits >> 16) & 0x8000u));
}
""",
    "bfloat16": """\
static __device__ __forceinline__ unsigned short to_bfloat16(float wide) {
  const unsigned bits = __float_as_uint(wide);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return (unsigned short)((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}
""",
}

# Towards zero, and odd where that is not exact: rounded once more, to 22 bits or fewer, it is what the float64 rounds
# to.
_TO_ODD = """\
static __device__ __forceinline__ float rounded_to_odd(double wide) {
  const float nearest = (float)wide;
  const double back = (double)nearest;
  const unsigned bits = __float_as_uint(nearest);
  const unsigned odd = (bits - (fabs(back) > fabs(wide) ? 1u : 0u)) | 1u;
  return back != wide && wide == wide ? __uint_as_float(odd) : nearest;
}
"""

# Row and column of an element: a division for each would cost more than the rest of the arithmetic in float32.
_PLACES = """\
struct Place { long long row, column; };
static __device__ __forceinline__ Place place_of(long long index, long long classes) {
  return {index / classes, index % classes};
}
static __device__ __forceinline__ Place moved(Place at, Place by, long long classes) {
  Place to = {at.row + by.row, at.column + by.column};
  if (to.column >= classes) { to.column -= classes; ++to.row; }
  return to;
}
"""

_FIRST_ROW = [
    f"  Place start = place_of((long long)blockIdx.x * {PIECE} + threadIdx.x, classes);",
    f"  const Place a_step = place_of({THREADS}, classes);",
    f"  const Place a_round = place_of((long long)gridDim.x * {PIECE}, classes);",
]

# As `tree_sum` adds up a piece, filled up with zeros; the first two halvings happen before anything is shared. Between
# the last barrier and the next piece, the first thread alone reads a term, and it is its own.
_PARTIAL_SUM = f"""\
    terms[threadIdx.x] = (own[0] + own[2]) + (own[1] + own[3]);
    __syncthreads();
    for (int half = {THREADS // 2}; half >= 1; half /= 2) {{
      if (threadIdx.x < half) terms[threadIdx.x] += terms[threadIdx.x + half];
      __syncthreads();
    }}
    if (threadIdx.x == 0) sums[piece] = terms[0];""".splitlines()

# In place: the sums of a run by halving, in all runs at once, then the runs by halving, as if zeros filled both up.
_FINISH = f"""\
{{
  for (long long half = {PIECES_A_RUN // 2}; half >= 1; half /= 2) {{
    for (long long item = threadIdx.x; item < pieces; item += THREADS) {{
      const long long place = item % {PIECES_A_RUN};
      if (place < half && item + half < pieces) sums[item] += sums[item + half];
    }}
    __syncthreads();
  }}
  const long long runs = (pieces + {PIECES_A_RUN - 1}) / {PIECES_A_RUN};
  long long half = 1;
  while (2 * half < runs) half *= 2;
  for (; half >= 1; half /= 2) {{
    for (long long run = threadIdx.x; run < half && run + half < runs; run += THREADS) {{
      sums[run * {PIECES_A_RUN}] += sums[(run + half) * {PIECES_A_RUN}];
    }}
    __syncthreads();
  }}
  if (threadIdx.x == 0) *result = (RESULT)((runs ? sums[0] : 0.0) / (normalizer ? *normalizer : divisor));
}}
"""
