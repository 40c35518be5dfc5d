"""Programs under test, and a profile for them."""

import json
import shlex
import sys
from pathlib import Path

MISBEHAVING = Path(__file__).with_name("misbehaving.py")

PROFILE = {
    "profile": {"name": "mine", "description": "a program of the tests", "package": "mine", "library": "process"},
    "conventions": {
        "formula": "focal",
        "prediction": "logits",
        "multi_class": "sigmoid",
        "alpha": "pos/1-pos",
        "alpha_off": "none",
        "soft_targets": "unsupported",
        "clipping": "none",
        "epsilon": 0,
        "mean": "unsupported",
        "sum": "unsupported",
        "background": "none",
        "ignore": "none",
        "gradient": "function",
        "subnormals": "kept",
    },
    "claims": {"capabilities": [], "dtypes": {"float32": "standard"}},
}


def profile_file(folder, **changes):
    """A profile as a TOML file, with some of its tables changed."""
    path = folder / "profile.toml"
    tables = {name: {**PROFILE.get(name, {}), **changes.get(name, {})} for name in {**PROFILE, **changes}}
    dtypes = tables["claims"].pop("dtypes")
    tables["claims.dtypes"] = dtypes
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        # JSON's strings, lists and numbers are TOML's too.
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def command(*arguments):
    """The command of the misbehaving program: Python without its start-up files."""
    return shlex.join([sys.executable, "-I", "-S", str(MISBEHAVING), *map(str, arguments)])
