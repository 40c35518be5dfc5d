"""DET: the same bits again, for each element alone, and on every backend."""

from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Array, Call
from focal_ref.conformance.targets.memory import AGAIN, ANEW, EARLIER

RANDOM_LOGITS = 10**6


@check("FL-DET-001")
def again(examiner: Examiner) -> None:
    call = examiner.sample((31, 7), seed=1)
    weight = None if call.alpha is None else 0.9
    other = examiner.sample((5, 3), seed=2, alpha=weight, gamma=0.5)
    for quantity in examiner.quantities:
        first = examiner.run(quantity, call, "first call")
        examiner.run(quantity, other, "another call")
        second = examiner.run(quantity, call, "same call again")
        if first is not None and second is not None:
            examiner.same_bits("after another call", quantity, second, first, _inputs(examiner, call))
    found = examiner.memory(call, examiner.sample((31, 7), seed=4))
    for done in (EARLIER, AGAIN, ANEW):
        if done in found:
            examiner.same_bits(done, "value", *found[done])


@check("FL-DET-002")
def element_by_element(examiner: Examiner) -> None:
    call = examiner.sample((41, 5) if examiner.of_rows else 41, seed=2)

    def part(index: Any) -> Call:
        return replace(call, logits=call.logits[index], targets=call.targets[index])

    order = np.random.default_rng(2).permutation(41)
    inverse = np.argsort(order)
    for quantity in examiner.quantities:
        batch = examiner.run(quantity, call, "batch")
        permuted = examiner.run(quantity, part(order), "permuted")
        singles = [examiner.run(quantity, part(slice(i, i + 1)), "single") for i in range(41)]
        if batch is None or permuted is None or any(single is None for single in singles):
            continue
        results = {"permuted": permuted[inverse], "one by one": np.concatenate(singles)}  # type: ignore[arg-type]
        for name, got in results.items():
            if examiner.claims("same_bits"):
                examiner.same_bits(name, quantity, got, batch, _inputs(examiner, call))
            else:
                # Vector and scalar code of a mathematics library may round differently; each must be accurate.
                examiner.agree(quantity, call, got, name)


def _inputs(examiner: Examiner, call: Call) -> dict[str, Array]:
    """What is shown of an element; rows are too long for it."""
    return {} if examiner.of_rows else {"logit": call.logits}


@check("FL-DET-003")
def correctly_rounded(examiner: Examiner) -> None:
    """Bits against the double-double reference; float64 is not correctly rounded and is compared call by call."""
    if examiner.dtype == "float64":
        logits, targets = examiner.random(1000, seed=3)
        for quantity in examiner.quantities:
            first = examiner.run(quantity, Call(logits, targets), "first")
            second = examiner.run(quantity, Call(logits, targets), "second")
            if first is not None and second is not None:
                examiner.same_bits("twice", quantity, second, first, {"logit": logits})
        return
    special = _special_logits(examiner)
    for gamma in (0.5, 2.0):
        generator = np.random.default_rng([3, int(2 * gamma)])
        count = RANDOM_LOGITS // 2 - special.size
        logits = np.concatenate([special, examiner.array(generator.normal(0.0, 8.0, count))])
        targets = examiner.array(generator.random(logits.size) < 0.3)
        call = Call(logits, targets, gamma=gamma)
        exact = examiner.exact(call)
        for quantity in examiner.quantities:
            got = examiner.run(quantity, call, "random and special")
            if got is not None:
                case = f"random and special/gamma={gamma}"
                # A zero gradient's sign is that of its limit, which the correctly rounded zero of the reference has.
                examiner.same_bits(case, quantity, got, exact[quantity].numbers, {"logit": logits, "target": targets})


def _special_logits(examiner: Examiner) -> Array:
    format = examiner.format
    exponents = np.arange(format.minimum_ulp_exponent, format.maximum_exponent + 1)
    powers = np.ldexp(1.0, exponents)
    largest = np.finfo(np.float64).max if format.name == "float64" else (2 - 2.0 ** (1 - format.precision)) * powers[-1]
    singles = np.concatenate([[0.0, np.inf, largest, 0.5, 1.5, 16.7, 17.0, 36.8, 87.3, 88.8, 103.9, 104.5], powers])
    return np.asarray(examiner.array(np.concatenate([singles, -singles, [np.nan]])))
