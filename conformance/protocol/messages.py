"""Requests and answers: arrays as bits, and what is wrong with an answer that is none."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from focal_ref import __version__
from focal_ref.conformance.formats import FORMATS, hex_bits
from focal_ref.conformance.protocol import PROTOCOL
from focal_ref.conformance.protocol.text import safe_text
from focal_ref.conformance.targets import Array, Call, TargetFault
from focal_ref.conformance.targets.functions import parameter_names

DTYPES: Mapping[str, np.dtype[Any]] = {
    **{name: format.dtype for name, format in FORMATS.items()},
    **{name: np.dtype(name) for name in ("bool", "uint8", "int32", "int64")},
}
"""Types of arrays by their names."""

_HEX = re.compile("[0-9a-f]*")


class Refused(ValueError):
    """The program answered with an error: that is how it refuses arguments."""


def start(identifier: str) -> bytes:
    """The first request."""
    return _line({"command": "start", "id": identifier, "protocol": PROTOCOL, "suite": __version__})


def describe(identifier: str) -> bytes:
    """The request for name, version and what is implemented."""
    return _line({"command": "describe", "id": identifier})


def stop(identifier: str) -> bytes:
    """The last request, which has no answer."""
    return _line({"command": "stop", "id": identifier})


def run(identifier: str, call: Call, quantities: Sequence[str]) -> bytes:
    """The request for quantities of a call."""
    names = parameter_names(call.function)
    parameters: dict[str, Any] = {name: getattr(call, name) for name in ("alpha", "gamma") if name in names}
    parameters |= dict(call.parameters)
    parameters["reduction"] = call.reduction
    # A program has to know of these only if it claims them.
    for name, default in (("encoding", "binary"), ("weights", None), ("normalizer", None), ("precision", "exact")):
        value = getattr(call, name)
        if value is not default and not (isinstance(value, str) and value == default):
            parameters[name] = value
    head = _line({"command": "run", "id": identifier, "function": call.function, "quantities": list(quantities)})
    entries = [f"{json.dumps(name)}: {_parameter(name, value)}" for name, value in parameters.items()]
    # Arrays are text already: millions of numbers had better not become as many objects.
    return (
        head[:-1]
        + f', "logits": {array_text(call.logits)}, "targets": {array_text(call.targets)}'.encode()
        + f', "parameters": {{{", ".join(entries)}}}}}'.encode()
    )


def array_text(array: Array) -> str:
    """An array as JSON: dtype, shape, and the bits of each number, most significant digit first."""
    dtype = array.dtype
    integers = np.ascontiguousarray(array).view(f"u{dtype.itemsize}").astype(f">u{dtype.itemsize}")
    digits = integers.tobytes().hex(",", dtype.itemsize).replace(",", '","')
    bits = f'["{digits}"]' if digits else "[]"
    return f'{{"dtype": "{dtype.name}", "shape": {json.dumps(array.shape)}, "bits": {bits}}}'


def parsed(line: bytes, identifier: str) -> dict[str, Any]:
    """The answer to a request.

    Raises
    ------
    TargetFault
        If the line is no JSON object, or answers another request.
    Refused
        If it is an error.
    """
    try:
        answer = json.loads(line.decode("utf-8"))
    # A few thousand brackets are too deep for the parser.
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else safe_text(str(error), 80)
        raise TargetFault("garbage", f"wrote what is no JSON ({reason}): {_excerpt(line)}") from error
    if not isinstance(answer, dict):
        raise TargetFault("garbage", f"wrote JSON that is no object: {_excerpt(line)}")
    if answer.get("id") != identifier:
        got = shown(answer.get("id"))
        raise TargetFault("answer", f"answered another request: id is {got}, asked was {identifier!r}")
    if "error" in answer:
        if not isinstance(answer["error"], str):
            raise TargetFault("answer", f"error: got {shown(answer['error'])}; it is a text")
        raise Refused(safe_text(answer["error"], 300))
    return answer


def results(answer: Mapping[str, Any], quantities: Sequence[str]) -> list[Array]:
    """The arrays of an answer.

    Raises
    ------
    TargetFault
        If one is missing or malformed. Another shape or dtype than the requested ones is none of that, but a result.
    """
    given = answer.get("results")
    if not isinstance(given, dict):
        raise TargetFault("answer", f"results: got {shown(given)}; it is an object with {', '.join(quantities)}")
    arrays = []
    for name in quantities:
        if name not in given:
            raise TargetFault("answer", f"results: {name} is missing; it has {shown(sorted(map(str, given)))}")
        arrays.append(_array(given[name], f"results.{name}"))
    return arrays


def shown(value: Any) -> str:
    """A value of an answer, on one line that is not long."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "something nested deeply"
    return safe_text(text, 80)


def _array(entry: Any, place: str) -> Array:
    if not isinstance(entry, dict) or not {"dtype", "shape", "bits"} <= set(entry):
        raise TargetFault("answer", f"{place}: got {shown(entry)}; it is an object with dtype, shape and bits")
    name, shape, bits = entry["dtype"], entry["shape"], entry["bits"]
    dtype = DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None:
        raise TargetFault("answer", f"{place}.dtype: got {shown(name)}; allowed are {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 32:
        raise TargetFault("answer", f"{place}.shape: got {shown(shape)}; it is a list of sizes")
    if not isinstance(bits, list) or len(bits) != math.prod(shape):
        count = f"{len(bits)} entries" if isinstance(bits, list) else shown(bits)
        raise TargetFault("answer", f"{place}.bits: got {count}; a shape of {shown(shape)} has {math.prod(shape)}")
    integers = np.frombuffer(bytes.fromhex(_digits(bits, name, dtype, place)), dtype=f">u{dtype.itemsize}")
    if name == "bool" and bool(np.any(integers > 1)):
        raise TargetFault("answer", f"{place}.bits: a bool is 00 or 01")
    return integers.astype(f"u{dtype.itemsize}").view(dtype).reshape(shape)


def _digits(bits: Sequence[Any], name: str, dtype: np.dtype[Any], place: str) -> str:
    """All digits in a row, after a check of each entry that is quick for millions."""
    digits = 2 * dtype.itemsize
    if all(type(text) is str for text in bits):
        joined = "".join(bits)
        if set(map(len, bits)) <= {digits} and _HEX.fullmatch(joined):
            return joined
    wrong = next(text for text in bits if type(text) is not str or len(text) != digits or not _HEX.fullmatch(text))
    raise TargetFault("answer", f"{place}.bits: got {shown(wrong)}; {name} has {digits} lowercase hex digits")


def _parameter(name: str, value: Any) -> str:
    """A hyper-parameter as JSON: bits of float64 or an array; names and counts as they are."""
    if isinstance(value, np.ndarray):
        return array_text(value)
    if name != "axis" and isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(hex_bits(np.float64(value), FORMATS["float64"]))
    return json.dumps(value)


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode()


def _excerpt(line: bytes) -> str:
    return safe_text(line[:400].decode("utf-8", "backslashreplace"), 80)


__all__ = ["DTYPES", "Refused", "array_text", "describe", "parsed", "results", "run", "shown", "start", "stop"]
