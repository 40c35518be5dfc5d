"""What a maintainer of another package does: `examples/gate` from a built wheel, without a network, and the action."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def called(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **options)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of a fresh environment with the built wheel; what it depends on lies in the one of these tests."""
    folder = tmp_path_factory.mktemp("user")
    # A build writes beside its sources, which other tests read meanwhile.
    sources = folder / "focal-ref"
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(".git", ".venv", "build", "tests", "*.egg-info"))
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    code, output = called([*build, str(sources)])
    assert code == 0, output
    (wheel,) = folder.glob("focal_ref-*.whl")
    venv = folder / "venv"
    code, output = called([sys.executable, "-m", "venv", "--without-pip", str(venv)])
    assert code == 0, output
    python = venv / "bin" / "python"
    code, output = called([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    (Path(output.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    without_network = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # pip reads a 0 for --no-build-isolation as: no isolation.
    variables = {**os.environ, **without_network, "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    for name in ("PYTHONPATH", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS"):
        variables.pop(name, None)
    install = [python, "-m", "pip", "install", "-q", "--no-deps", "--ignore-installed", str(wheel)]
    code, output = called(install, env=variables)
    assert code == 0, output
    code, output = called([python, "-c", "import focal_ref; print(focal_ref.__file__)"], env=variables, cwd=folder)
    assert Path(output.strip()).is_relative_to(venv), output
    return variables


@pytest.fixture
def package(tmp_path):
    """A copy of the example, which is installed from there."""
    return Path(shutil.copytree(ROOT / "examples" / "gate", tmp_path / "gate"))


LOSSES = Path("src/tiny_detector/losses.py")


def changed(package, old, new):
    path = package / LOSSES
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_recipe_for_any_shell_is_green_with_its_known_fault(environment, package):
    code, output = called(["bash", "gate.sh"], cwd=package, env=environment)
    assert code == 0, output
    assert "the smoke test passes" in output
    assert "verdict: no unexpected failure: 1 waived requirement, not conformant (exit code 0)" in output
    assert sorted(path.suffix for path in (package / "focal-ref-report").iterdir()) == [
        ".html",
        ".json",
        ".jsonl",
        ".md",
        ".xml",
    ]


def test_a_broken_loss_and_a_mended_fault_both_turn_it_red(environment, package):
    conform = ["focal-ref", "conform", "--profile=conformance/profile.toml", "--waivers=conformance/waivers.toml"]
    environment = {**environment, "PYTHONPATH": str(package / "src")}
    right = "np.where(targets == 1, alpha, 1 - alpha)"
    changed(package, right, "np.where(targets == 1, 1 - alpha, alpha)")
    code, output = called([*conform, "-n", "2"], cwd=package, env=environment)
    assert code == 1, output
    assert "FL-VAL-004 float32: Alpha weighs positives and 1 - alpha negatives" in output
    changed(package, "np.where(targets == 1, 1 - alpha, alpha)", right)
    changed(
        package,
        "loss = np.exp(-gamma * np.logaddexp(0, margin)) * cross_entropy",
        "loss = cross_entropy if gamma == 0 else np.exp(-gamma * np.logaddexp(0, margin)) * cross_entropy",
    )
    code, output = called([*conform, "-n", "2"], cwd=package, env=environment)
    assert code == 7, output
    assert "waiver 1 (FL-EXT-001): stale" in output


ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def step(name):
    (found,) = (step for step in ACTION["runs"]["steps"] if step["name"] == name)
    return found


@pytest.mark.parametrize("code", [0, 1, 7])
def test_the_action_hands_its_inputs_on_and_ends_with_the_verdict(tmp_path, code):
    conform = step("Run the suite")
    # Each variable is one input, as a value and never as text of the script.
    inputs = {name: text.removeprefix("${{ inputs.").removesuffix(" }}") for name, text in conform["env"].items()}
    assert set(inputs.values()) == set(ACTION["inputs"]) - {"install"}
    assert "${{" not in conform["run"]
    program = tmp_path / "focal-ref"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/arguments"\nexit {code}\n')
    program.chmod(0o755)
    values = {name: str(ACTION["inputs"][given]["default"]) for name, given in inputs.items()}
    values |= {"PROFILE": "a profile; rm -rf x.toml", "LEVEL": "0.1"}
    outputs = tmp_path / "outputs"
    variables = {**os.environ, **values, "GITHUB_OUTPUT": str(outputs), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended, output = called(["bash", "-e", "-o", "pipefail", "-c", conform["run"]], env=variables)
    assert ended == code, output
    assert outputs.read_text() == f"exit-code={code}\n"
    assert (tmp_path / "arguments").read_text().splitlines() == [
        "conform",
        "--report-dir=focal-ref-report",
        "-n",
        "2",
        "--profile=a profile; rm -rf x.toml",
        "--level=0.1",
    ]


def test_the_action_knows_the_options_of_the_command():
    code, output = called([sys.executable, "-c", "from focal_ref.conformance.cli import main; main()", "conform", "-h"])
    assert code == 0
    for name in set(ACTION["inputs"]) - {"install", "workers"}:
        assert f"--{name} " in output
    assert "-n " in output


def test_the_workflow_gives_the_action_what_it_takes():
    workflow = yaml.safe_load((ROOT / "examples/gate/.github/workflows/conformance.yml").read_text())
    (given,) = (
        step["with"]
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "with" in step and "focal-ref" in step["uses"]
    )
    assert set(given) <= set(ACTION["inputs"])
    for name in ("profile", "waivers"):
        assert (ROOT / "examples" / "gate" / given[name]).is_file()
