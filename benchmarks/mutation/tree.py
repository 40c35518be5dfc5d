"""The copy of the checkout in which mutants are made: laid out as installed, so that it needs no installation."""

import shutil
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {"focal_ref": "focal_ref", "adapters": "focal_ref/adapters", "conformance": "focal_ref/conformance"}
BESIDE = ("tests", "benchmarks", "docs", "examples", "pyproject.toml", "README.md")
"""What tests read beside the package."""


def copy_tree(tree: Path) -> None:
    """Copy what the tests need, without anything that is compiled."""
    shutil.rmtree(tree, ignore_errors=True)
    for source, place in {**PACKAGES, **{name: name for name in BESIDE}}.items():
        path = ROOT / source
        if path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(path, tree / place, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(path, tree / place)


def place_of(file: str) -> str:
    """Where a file of the checkout stands in the copy."""
    folder, _, rest = file.partition("/")
    return f"{PACKAGES[folder]}/{rest}"


def refresh(tree: Path, files: Sequence[str]) -> None:
    """Copy tests that were changed since."""
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, tree / file)
