"""The worked examples in C and JavaScript: built and run as their READMEs say."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from focal_ref.conformance.bundle import archive, contents
from focal_ref.conformance.gate import SELF_CHECK, Item, items_of, run_item
from focal_ref.conformance.protocol import messages
from focal_ref.conformance.protocol.target import process_target, protocol_schema
from focal_ref.conformance.targets import Call

EXAMPLES = Path(__file__).parents[2] / "examples"


def tool(name):
    """The path of a compiler or interpreter, without which these tests fail."""
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed; the examples cannot be built and run without it"
    return path


@pytest.fixture(scope="session")
def c_programs(tmp_path_factory):
    """The folder of the C example, built by the lines of its README."""
    tool("cc")
    folder = tmp_path_factory.mktemp("examples") / "c"
    shutil.copytree(EXAMPLES / "c", folder)
    lines = re.findall(r"^    (cc .*)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run([*shlex.split(line), "-Wall", "-Wextra", "-Werror"], cwd=folder, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture
def start(c_programs):
    """The target of a program by its name, such as "right.mjs"; it is ended after the test."""
    targets = []

    def started(name):
        if name.endswith(".mjs"):
            path = EXAMPLES / "javascript" / name
            targets.append(process_target(shlex.join([tool("node"), str(path)]), None))
        else:
            profile = str(c_programs / "profile.toml")
            targets.append(process_target(shlex.quote(str(c_programs / name)), profile))
        return targets[-1]

    yield started
    assert [target.close() for target in targets] == [""] * len(targets)


@pytest.mark.parametrize("name", ["right", "right.mjs"])
def test_the_right_one_meets_everything_that_it_claims(start, name):
    target = start(name)
    assert target.profile.tiers == {"float64": "standard", "float32": "exact"}
    items = [item for item in items_of(target.profile) if item.name != SELF_CHECK]
    assert {"FL-VAL-002", "FL-GRAD-001", "FL-EXT-001", "FL-SHP-002", "FL-DET-002"} <= {item.name for item in items}
    for item in items:
        result = run_item(item, target, "focal-ref conform")
        assert result.passed, result.text
    assert "remark" not in target.describe()


@pytest.mark.parametrize(
    ("name", "finds", "passes"),
    [
        ("wrong", ("FL-VAL-002", "FL-GRAD-003"), ("FL-SHP-002", "FL-DET-001")),
        ("wrong.mjs", ("FL-GRAD-001", "FL-GRAD-002", "FL-GRAD-003", "FL-GRAD-004"), ("FL-VAL-001", "FL-VAL-002")),
    ],
)
def test_the_wrong_one_is_found_by_the_requirements_that_name_its_mistake(start, name, finds, passes):
    target = start(name)
    for identifier in (*finds, *passes):
        item = next(item for item in items_of(target.profile) if item.name == identifier and item.dtype != "float64")
        result = run_item(Item(identifier, item.dtype), target, "focal-ref conform")
        assert result.passed == (identifier in passes), identifier
        # By a comparison of numbers, not because nothing came.
        assert result.passed or any(finding["error"] for finding in result.findings)


@pytest.mark.parametrize("folder", ["c", "javascript"])
def test_what_the_readme_shows_of_a_failure_is_what_the_suite_says(start, folder):
    name, identifier = {"c": ("wrong", "FL-VAL-002"), "javascript": ("wrong.mjs", "FL-GRAD-001")}[folder]
    text = run_item(Item(identifier, "float32"), start(name), "focal-ref conform").text
    said = {" ".join(line.split()) for line in text.splitlines()}
    block = (
        (EXAMPLES / folder / "README.md").read_text().partition(f"    {identifier} float32: ")[2].partition("\n\n")[0]
    )
    shown = [" ".join(line.split()) for line in block.splitlines()[1:]]
    assert len(shown) >= 4
    assert set(shown) <= said


@pytest.mark.parametrize("name", ["right", "right.mjs"])
def test_every_answer_follows_the_schema(c_programs, name):
    schema = Draft202012Validator({"$ref": "#/$defs/answer", "$defs": protocol_schema()["$defs"]})
    one = np.ones(2, np.float32)
    requests = [
        messages.start("1"),
        messages.describe("2"),
        messages.run("3", Call(one, one), ("value", "gradient")),
        messages.run("4", Call(one, one, alpha=2.0), ("value",)),
        messages.run("5", Call(one, one[:1]), ("value",)),
        messages.run("6", Call(one, one, reduction="avg"), ("value",)),
        messages.run("7", Call(one, one, function="star_loss", parameters={"beta": 1.0}), ("value",)),
        messages.run("8", Call(one, one, weights=one), ("value",)),
        messages.stop("9"),
    ]
    program = [tool("node"), str(EXAMPLES / "javascript" / name)] if name.endswith(".mjs") else [str(c_programs / name)]
    done = subprocess.run(program, input=b"\n".join(requests) + b"\n", capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer in answers:
        schema.validate(answer)
    assert [answer["id"] for answer in answers] == [str(number) for number in range(1, 9)]
    errors = [answer.get("error", "").partition(":")[0] for answer in answers]
    assert errors == ["", "", "", "alpha", "targets", "reduction", "function", "weights"]
    # The end of standard input ends them too.
    assert subprocess.run(program, input=b"", capture_output=True, timeout=30).returncode == 0


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """An exported bundle of the focal loss."""
    folder = tmp_path_factory.mktemp("bundle") / "focal-ref-vectors"
    archive.write(contents.contents(["focal"]), folder)
    return folder


def check_bundle(language, c_programs, folder):
    """Run the program that uses the bundle without the suite."""
    if language == "c":
        program = [str(c_programs / "check_bundle"), str(folder / "csv" / "focal.csv")]
    else:
        program = [tool("node"), str(EXAMPLES / "javascript" / "check_bundle.mjs"), str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("language", ["c", "javascript"])
def test_the_bundle_serves_a_language_without_the_suite(language, c_programs, bundle):
    code, output, errors = check_bundle(language, c_programs, bundle)
    assert (code, errors) == (0, "")
    readme = (EXAMPLES / language / "README.md").read_text()
    assert f"# {output.strip()}, exit code 0" in readme


@pytest.mark.parametrize("language", ["c", "javascript"])
def test_a_check_of_the_bundle_can_fail(language, c_programs, bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    test = "grid/float32/gamma=2/alpha=0.25/target=1/logit=40400000"
    table, grid = folder / "csv" / "focal.csv", folder / "focal" / "grid.json"
    row = next(line for line in table.read_text().splitlines() if line.endswith(test))
    value = row.split(",")[6]
    wrong = f"{int(value, 16) + 2:08x}"
    table.write_text(table.read_text().replace(row, row.replace(value, wrong)))
    line = next(line for line in grid.read_text().splitlines() if f'"{test}"' in line)
    grid.write_text(grid.read_text().replace(line, line.replace(f'"{value}"', f'"{wrong}"')))
    if language == "javascript":
        code, _, errors = check_bundle(language, c_programs, folder)
        assert (code, errors) == (2, "focal/grid.json: sha256 differs from that in manifest.json\n")
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["focal/grid.json"]["sha256"] = contents.digest(grid.read_bytes())
        (folder / "manifest.json").write_text(json.dumps(manifest))
    code, output, _ = check_bundle(language, c_programs, folder)
    assert code == 1
    assert output == f"not met: {test}\n2709 of 2710 tests met\n"


@pytest.mark.parametrize("language", ["c", "javascript"])
def test_a_bundle_that_is_none_is_no_verdict(language, c_programs, tmp_path):
    code, output, errors = check_bundle(language, c_programs, tmp_path)
    assert (code, output) == (2, "")
    assert errors


def test_the_conversation_in_the_documentation_is_what_a_program_has(c_programs):
    text = (EXAMPLES.parent / "docs" / "protocol.md").read_text()
    lines = text.partition("```\n")[2].partition("```")[0].splitlines()
    schema = Draft202012Validator(protocol_schema())
    for line in lines:
        schema.validate(json.loads(line[2:]))
    requests = "".join(f"{line[2:]}\n" for line in lines if line.startswith("> "))
    shown = [json.loads(line[2:]) for line in lines if line.startswith("< ")]
    assert len(shown) == 4
    done = subprocess.run([str(c_programs / "right")], input=requests, capture_output=True, text=True, timeout=30)
    got = [json.loads(line) for line in done.stdout.splitlines()]
    assert got[0] == shown[0]
    assert got[2] == shown[2]
    assert got[3]["id"] == shown[3]["id"]
    assert got[3]["error"].startswith("targets: ")
    assert shown[3]["error"].startswith("targets: ")
