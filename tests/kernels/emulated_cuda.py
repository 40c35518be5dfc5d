"""CUDA C++ on the CPU: each thread of a block runs up to the next barrier, then the next thread.

The source is compiled as it is, by the C++ compiler of the machine; a header says what the words of CUDA mean.
"""

import ctypes
import hashlib
import re
import shutil
import subprocess
import sys

import numpy as np

COMPILER = next((path for name in ("g++", "c++", "clang++") if (path := shutil.which(name))), None)
UNAVAILABLE = "needs Linux (ucontext)" if sys.platform != "linux" else "needs a C++ compiler" if not COMPILER else None

# A processor without fused multiply-adds computes them in a function of its library, with the same bits.
FLAGS = ("-std=c++17", "-O1", "-march=native", "-ffp-contract=off", "-fno-fast-math", "-fPIC", "-shared", "-w")

WORDS = """
struct Dimensions { unsigned x, y, z; };
extern "C" Dimensions threadIdx, blockIdx, blockDim, gridDim;
extern "C" void synchronise();
extern "C" double fma(double, double, double), fabs(double);
extern "C" float fmaf(float, float, float), fabsf(float);
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(threads)
#define __syncthreads synchronise
template <class To, class From> static inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "of one size");
  To to;
  __builtin_memcpy(&to, &from, sizeof(To));
  return to;
}
#define __float_as_uint bits_as<unsigned>
#define __uint_as_float bits_as<float>
#define __float_as_int bits_as<int>
#define __int_as_float bits_as<float>
#define __double_as_longlong bits_as<long long>
#define __longlong_as_double bits_as<double>
"""

RUNTIME = r"""
#include <ucontext.h>
#include <vector>
struct Dimensions { unsigned x, y, z; };
extern "C" { Dimensions threadIdx, blockIdx, blockDim, gridDim; }
typedef void (*Body)(void**);
static ucontext_t main_context;
static std::vector<ucontext_t> contexts;
static std::vector<char> ended, stacks;
static Body body;
static void** given;
static void run_thread(int thread) { body(given); ended[thread] = 1; }
extern "C" void synchronise() {
  const unsigned thread = threadIdx.x;
  swapcontext(&contexts[thread], &main_context);
}
// Whether all threads of each block met the same barriers.
extern "C" int launch(Body kernel, void** arguments, unsigned first_block, unsigned blocks, unsigned threads,
                      int with_barriers) {
  const size_t size = 1 << 15;
  gridDim = {blocks, 1, 1}; blockDim = {threads, 1, 1};
  for (unsigned block = first_block; block < blocks; ++block) {
    blockIdx = {block, 0, 0};
    if (!with_barriers) {
      for (unsigned thread = 0; thread < threads; ++thread) { threadIdx = {thread, 0, 0}; kernel(arguments); }
      continue;
    }
    body = kernel; given = arguments;
    contexts.resize(threads); ended.assign(threads, 0); stacks.resize(threads * size);
    for (unsigned thread = 0; thread < threads; ++thread) {
      getcontext(&contexts[thread]);
      contexts[thread].uc_stack.ss_sp = &stacks[thread * size];
      contexts[thread].uc_stack.ss_size = size;
      contexts[thread].uc_link = &main_context;
      makecontext(&contexts[thread], (void (*)())run_thread, 1, (int)thread);
    }
    for (unsigned finished = 0; finished < threads;) {
      finished = 0;
      for (unsigned thread = 0; thread < threads; ++thread) {
        threadIdx = {thread, 0, 0};
        if (!ended[thread]) swapcontext(&main_context, &contexts[thread]);
        finished += ended[thread];
      }
      if (finished != 0 && finished != threads) return 0;
    }
  }
  return 1;
}
"""

_SIGNATURE = re.compile(r'extern "C" __global__ void __launch_bounds__\((\d+)\) (\w+)\(([^)]*)\)')
_SCALARS = {"long long": np.int64, "double": np.float64, "float": np.float32}


class Emulator:
    """Compiles and launches kernels; libraries stand in one folder, filed by what they are made of."""

    def __init__(self, folder):
        self.folder = folder
        self.runtime = self._built(RUNTIME)
        # Of its own: names of a global library would be found by the kernels of another emulator.
        self._launch = ctypes.CDLL(self.runtime).launch

    def kernel(self, source, name):
        """The kernel of that name as a function of grid, block and arguments, as CuPy calls one."""
        threads, _, parameters = next(found for found in _SIGNATURE.findall(source) if found[1] == name)
        kinds = [re.match(r"(.*?)\s*(\w+)$", parameter.strip())[1] for parameter in parameters.split(",")]
        kinds = [kind.replace("__restrict__", "").strip() for kind in kinds]
        given = ", ".join(f"*({kind}*)arguments[{index}]" for index, kind in enumerate(kinds))
        entry = f'extern "C" void entry(void** arguments) {{ {name}({given}); }}\n'
        library = ctypes.CDLL(self._built(WORDS + source + entry, self.runtime))

        def run(grid, block, arguments, first_block=0):
            assert len(arguments) == len(kinds)
            assert block == (int(threads),)
            values = [_value(kind, argument) for kind, argument in zip(kinds, arguments, strict=True)]
            pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
            entry_point = ctypes.cast(library.entry, ctypes.c_void_p)
            same = self._launch(entry_point, pointers, first_block, *grid, *block, int("__syncthreads" in source))
            assert same, "threads of a block met different barriers"

        return run

    def _built(self, source, *libraries):
        name = hashlib.sha256("".join([source, *map(str, libraries)]).encode()).hexdigest()[:24]
        path, code = self.folder / f"{name}.so", self.folder / f"{name}.cpp"
        if not path.exists():
            code.write_text(source)
            command = [COMPILER, *FLAGS, str(code), *map(str, libraries), "-lm", "-o", str(path)]
            built = subprocess.run(command, capture_output=True, text=True)
            assert built.returncode == 0, built.stderr
        return path


def _value(kind, argument):
    """An argument as the bytes that a launch passes; of exactly the parameter's type, which a launch does not check."""
    if kind.endswith("*"):
        if isinstance(argument, np.ndarray):
            assert argument.flags.c_contiguous
            assert argument.dtype.itemsize == _width(kind)
            return np.array([argument.ctypes.data], np.uint64)
        assert type(argument) is np.uint64, f"{argument!r} for {kind}"
        return np.array([argument])
    assert type(argument) is _SCALARS[kind], f"{argument!r} for {kind}"
    return np.array([argument])


def _width(kind):
    element = kind.removeprefix("const ").removesuffix("*").strip()
    words = {"unsigned char": 1, "signed char": 1, "short": 2, "unsigned short": 2, "float": 4, "int": 4}
    return words.get(element, 4 if element == "unsigned int" else 8)
