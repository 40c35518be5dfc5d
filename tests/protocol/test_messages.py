"""Requests and answers: their form, and the bits in them."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from focal_ref.conformance.protocol import messages
from focal_ref.conformance.protocol.target import protocol_schema
from focal_ref.conformance.targets import Call

SCHEMA = Draft202012Validator(protocol_schema())


def sent(line):
    """A line as data, after a check against the schema."""
    assert b"\n" not in line
    document = json.loads(line)
    SCHEMA.validate(document)
    return document


@pytest.mark.parametrize("number", [0.0, -0.0, 1.5, -3.25e-300, float("inf"), 5e-324])
def test_float64_is_sent_as_its_ieee_bits(number):
    entry = json.loads(messages.array_text(np.array([number])))
    assert entry == {"dtype": "float64", "shape": [1], "bits": [struct.pack(">d", number).hex()]}


@pytest.mark.parametrize(
    ("array", "bits"),
    [
        (np.array([1.0, -2.0], np.float32), ["3f800000", "c0000000"]),
        (np.array([1.0, -2.0], np.float16), ["3c00", "c000"]),
        (np.array([1.0, -2.0], ml_dtypes.bfloat16), ["3f80", "c000"]),
        (np.array([1, -1], np.int64), ["0000000000000001", "ffffffffffffffff"]),
        (np.array([1, -2], np.int32), ["00000001", "fffffffe"]),
        (np.array([1, 255], np.uint8), ["01", "ff"]),
        (np.array([True, False]), ["01", "00"]),
        (np.zeros((0, 2), np.float32), []),
        (np.float32(1.0)[()], ["3f800000"]),
        (np.array([[1.0, 2.0], [3.0, 4.0]], np.float16).T, ["3c00", "4200", "4000", "4400"]),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_arrays_are_sent_row_by_row_most_significant_digit_first(array, bits):
    array = np.asarray(array)
    entry = json.loads(messages.array_text(array))
    assert entry == {"dtype": array.dtype.name, "shape": list(array.shape), "bits": bits}
    answer = {"results": {"value": entry}}
    back = messages.results(answer, ["value"])[0]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_every_request_follows_the_schema():
    logits, targets = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    plain = sent(messages.run("7", Call(logits, targets, alpha=None), ("value", "gradient")))
    assert plain["parameters"] == {"alpha": None, "gamma": "4000000000000000", "reduction": "none"}
    assert plain["logits"]["shape"] == [2, 3]
    full = Call(
        logits,
        targets > 0,
        np.full(3, 0.25),
        0.5,
        "signed",
        np.ones(3),
        "sum",
        2.0,
        "fast",
        "softmax_loss",
        {"axis": 1},
    )
    parameters = sent(messages.run("8", full, ("value",)))["parameters"]
    assert parameters["alpha"]["bits"] == ["3fd0000000000000"] * 3
    assert parameters["axis"] == 1
    assert parameters["normalizer"] == "4000000000000000"
    assert (parameters["encoding"], parameters["precision"], parameters["reduction"]) == ("signed", "fast", "sum")
    family = Call(logits, targets, function="asymmetric_loss", parameters={"gamma_positive": 0, "clip": 0.05})
    parameters = sent(messages.run("9", family, ("value",)))["parameters"]
    assert parameters == {"gamma_positive": "0000000000000000", "clip": "3fa999999999999a", "reduction": "none"}
    assert sent(messages.start("1"))["protocol"] == 1
    assert sent(messages.describe("2"))["command"] == "describe"
    assert sent(messages.stop("3"))["command"] == "stop"


@pytest.mark.parametrize(
    "document",
    [
        {"command": "run", "id": "1"},
        {"id": "1", "protocol": "1"},
        {"id": 1, "protocol": 1},
        {"id": "1", "error": ""},
        {"id": "1", "results": {}},
        {"id": "1", "results": {"value": {"dtype": "float32", "shape": [1], "bits": ["3F800000"]}}},
        {"id": "1", "results": {"value": {"dtype": "float64", "shape": [1], "bits": ["3f800000"]}}},
        {"id": "1", "results": {"value": {"dtype": "float32", "shape": [1.5], "bits": ["3f800000"]}}},
        {"id": "1", "results": {"loss": {"dtype": "float32", "shape": [1], "bits": ["3f800000"]}}},
        {"id": "1", "name": "x", "version": "1", "implements": {"dtypes": ["float8"], "quantities": ["value"]}},
    ],
)
def test_what_is_no_message_does_not_follow_the_schema(document):
    assert not SCHEMA.is_valid(document)


def test_the_schema_itself_is_valid():
    Draft202012Validator.check_schema(protocol_schema())
