"""A program that speaks the protocol and misbehaves as its arguments say: ``misbehaving.py [MODE] [FILE]``."""

import json
import os
import signal
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else ""
FILE = sys.argv[2] if len(sys.argv) > 2 else ""
NAMES = {"escapes": "\x1b[2J<script>alert(1)</script>\u202e[red]../../x"}
IMPLEMENTS = {"dtypes": ["float32"], "quantities": ["value", "gradient"]}


def stay(seconds):
    """Fork a process that leaves the group, keeps the streams open and stays."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    os.setsid()
    pid = os.fork()
    if pid:
        with open(FILE, "w") as file:
            file.write(str(pid))
        os._exit(0)
    time.sleep(seconds)
    os._exit(0)


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def flood(text):
    while True:
        write(text)


def array(entry, *, bits=None, shape=None, dtype=None):
    """Answer with a loss of 1 for every logit, but for what is wrong."""
    ones = ["3f800000"] * len(entry["bits"])
    return {
        "dtype": dtype or entry["dtype"],
        "shape": entry["shape"] if shape is None else shape,
        "bits": ones if bits is None else bits,
    }


WRONG = {
    "nan": lambda entry: array(entry, bits=["7fc00000"] * len(entry["bits"])),
    "shape": lambda entry: array(entry, shape=[1, *entry["shape"]]),
    "count": lambda entry: array(entry, bits=["3f800000"]),
    "digits": lambda entry: array(entry, bits=["0x3f80"] * len(entry["bits"])),
    "uppercase": lambda entry: array(entry, bits=["3F800000"] * len(entry["bits"])),
    "space": lambda entry: array(entry, bits=["3f80 000"] * len(entry["bits"])),
    "numbers": lambda entry: array(entry, bits=[1.0] * len(entry["bits"])),
    "dtype": lambda entry: array(entry, dtype="float64", bits=["3ff0000000000000"] * len(entry["bits"])),
    "no-dtype": lambda entry: array(entry, dtype="\x1b[31mf4"),
    "negative": lambda entry: array(entry, shape=[-1, -1]),
    "no-array": lambda entry: 1.0,
}

BEFORE = {
    "hang": lambda: time.sleep(600),
    "crash": lambda: (sys.stderr.write("Traceback: \x1b[31mlost\n"), sys.exit(3)),
    "segmentation": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "garbage": lambda: write("<b>loading</b> \x1b[2J...\n"),
    "binary": lambda: (sys.stdout.buffer.write(b"\xff\xfe\n"), sys.stdout.flush()),
    "deep": lambda: write("[" * 20000 + "\n"),
    "list": lambda: write("[]\n"),
    "endless": lambda: flood("x" * 65536),
    "lines": lambda: flood("x\n" * 32768),
    "closed": lambda: (os.close(1), time.sleep(600)),
    "stderr": lambda: (sys.stderr.write("y" * 10_000_000 + "the end"), sys.stderr.flush()),
    "stay-and-crash": lambda: (stay(600), time.sleep(0.2), sys.exit(3)),
}


def after(request):
    """What is written behind a right answer."""
    if MODE == "extra":
        write('{"debug": 1}\n')
    if MODE == "once":
        sys.exit(0)


def answer(request):
    if request["command"] == "start":
        return {"protocol": 2 if MODE.startswith("future") else 1}
    if request["command"] == "describe":
        description = {"name": NAMES.get(MODE, "misbehaving"), "version": "1.0", "implements": IMPLEMENTS}
        if FILE.endswith(".json"):
            with open(FILE) as file:
                description["profile"] = json.load(file)
        if MODE == "more":
            description["authors"] = ["\x1b[2J"]
        return {"implements": []} if MODE == "undescribed" else description
    if MODE == "refuses":
        return {"error": "alpha: \x1b[31mno"}
    if MODE == "no-results":
        return {}
    if MODE == "no-value":
        return {"results": {"loss": {}}}
    if MODE == "no-text":
        return {"error": None}
    return {"results": {name: WRONG.get(MODE, array)(request["logits"]) for name in request["quantities"]}}


def log(lines):
    for line in lines:
        with open(FILE, "a") as file:
            file.write(line)
        yield line


def main():
    if MODE == "mute":
        time.sleep(600)
    # What is asked, for the test to read.
    for line in log(sys.stdin) if MODE == "log" else sys.stdin:
        request = json.loads(line)
        identifier = request["id"]
        if request["command"] == "stop":
            if MODE == "stays":
                time.sleep(600)
            break
        if request["command"] == "describe" and MODE == "fork":
            stay(600)
        # Some misbehave for NaN alone, as a loss would.
        is_nan = request["command"] == "run" and "7fc00000" in request["logits"]["bits"]
        if MODE.endswith("-on-nan") and is_nan:
            BEFORE[MODE.removesuffix("-on-nan")]()
        if request["command"] == "run":
            BEFORE.get(MODE, lambda: None)()
            if MODE == "other":
                identifier = "../../etc/passwd\x1b[2J"
        write(json.dumps({"id": identifier, **answer(request)}) + "\n")
        if request["command"] == "run":
            after(request)


main()

if MODE == "sleepy":
    # Its standard input is closed, and it stays.
    time.sleep(600)
