"""The page of public implementations: made of the results alone, and results that cannot be used are told in a line."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "implementations"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import catalogue
    import page
    import page_html
    import page_markdown
    import page_tables
    import results

    return {one.__name__: one for one in (catalogue, page, page_html, page_markdown, page_tables, results)}


RESULT = {
    "name": "optax",
    "status": "run",
    "date": "2026-11-22",
    "target": {"version": "optax 0.2.8", "library": "jax 0.10.2", "device": "cpu"},
    "versions": {"focal-ref": "0.1.0"},
    "platform": "Linux x86_64",
    "level": "",
    "profile": {"kind": "loss", "conventions": {"formula": "focal", "alpha": "pos/1-pos"}, "tiers": {}},
    "verdict": "not conformant: 1 requirement not met",
    "requirements": {
        "FL-VAL-001": {"float32": "pass 3.1 14"},
        "FL-EXT-001": {"float32": "FAIL inf 12"},
        "FL-SMX-001": {"": "NOT-CLAIMED softmax"},
    },
    "errors": {"float32": {"value": {"-4 to 4": "3.1 14", "infinite": "inf 12"}}},
    "faults": {
        "FL-EXT-001": {
            "dtypes": ["float32"],
            "ways": ["nan"],
            "causes": [
                {"mutant": "other_branch_times_zero", "title": "0 times infinity", "advice": "Choose a branch."}
            ],
            "lines": [
                {
                    "command": "python -c 'print(0 * float(\"inf\"))'",
                    "printed": "nan",
                    "right": "0.0",
                    "dtype": "float32",
                    "quantity": "value",
                }
            ],
        }
    },
}


def page_of(tool, data=RESULT):
    catalogue = tool["catalogue"].load()
    (entry,) = (entry for entry in catalogue.implementations if entry.name == "optax")
    return tool["page_tables"].Page(replace(catalogue, implementations=(entry,)), {"optax": data})


def put(folder, data, name="optax"):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    return folder / f"{name}.json"


def refusal(tool, path):
    with pytest.raises(tool["results"].ResultsError) as caught:
        tool["results"].read(path)
    (text,) = str(caught.value).splitlines()
    return text


def test_the_pages_in_the_docs_are_what_the_results_say(tool, capsys):
    assert tool["page"].main(["--check"]) == 0, capsys.readouterr().err


def test_a_result_that_changes_changes_the_page(tool, tmp_path, capsys):
    results = tmp_path / "results"
    shutil.copytree(FOLDER / "results", results)
    path = results / "torchvision.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"date": "2', '"date": "1'), encoding="utf-8")
    assert tool["page"].main(["--check", f"--results={results}"]) == 1
    assert "implementations.md is not what the results say" in capsys.readouterr().err


def test_the_page_shows_outcome_error_convention_cause_line_and_what_is_right(tool):
    page = page_of(tool)
    for text in (tool["page_markdown"].markdown(page), tool["page_html"].html(page)):
        for part in ("optax 0.2.8", "2026-11-22", "pos/1-pos", "0 times infinity", "Choose a branch.", "FL-EXT-001"):
            assert part in text, part
    markdown = tool["page_markdown"].markdown(page)
    assert "```sh\npython -c 'print(0 * float(\"inf\"))'\n```\n\nprints `nan`; right is `0.0`." in markdown
    assert "| optax | **inf** | 3.1 |" in markdown
    assert "| optax 0.2.8 | jax 0.10.2, cpu | 2026-11-22 | 1 | 1 | 1 |" in markdown


def test_the_page_is_the_same_for_the_same_results(tool):
    one, other = (tool["page_html"].html(page_of(tool)) for _ in range(2))
    assert one == other


def test_html_in_a_result_is_shown_as_text(tool):
    fault = RESULT["faults"]["FL-EXT-001"]
    line = {**fault["lines"][0], "printed": "<script>x</script>", "right": "`a` | b"}
    data = {**RESULT, "faults": {"FL-EXT-001": {**fault, "lines": [line]}}}
    html = tool["page_html"].html(page_of(tool, data))
    assert "&lt;script&gt;x&lt;/script&gt;" in html
    assert html.count("<script>") == 1


def test_what_was_not_run_is_shown_with_its_reason(tool):
    data = {"name": "optax", "status": "not run", "outcome": "timed out", "reason": "after 900 s", "date": "2026-11-22"}
    markdown = tool["page_markdown"].markdown(page_of(tool, data))
    assert "| optax | timed out: after 900 s |" in markdown
    assert "| - | - | - |" in markdown


def test_results_that_are_whole_are_read_as_they_are(tool, tmp_path):
    assert tool["results"].read(put(tmp_path, RESULT)) == RESULT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": 3}, ("'seconds' was unexpected",)),
        ({"status": "run "}, ("status: got 'run '", "run, not run")),
        ({"name": "other"}, ("name: got 'other'", "'optax'")),
        ({"requirements": {"FL-VAL-001": {"float32": "green"}}}, ("requirements.FL-VAL-001.float32: 'green'",)),
        ({"errors": {"float32": {"value": {"-4 to 4": "3.1"}}}}, ("errors.float32.value.-4 to 4: '3.1'",)),
        ({"date": "yesterday"}, ("date: 'yesterday'",)),
    ],
)
def test_results_that_are_none_are_refused_with_file_key_and_value(tool, tmp_path, change, words):
    text = refusal(tool, put(tmp_path, {**RESULT, **change}))
    assert all(word in text for word in (*words, "optax.json")), text


def test_a_field_that_is_missing_is_named(tool, tmp_path):
    data = {name: value for name, value in RESULT.items() if name != "verdict"}
    assert "'verdict' is a required property" in refusal(tool, put(tmp_path, data))


def test_a_file_that_is_no_json_is_refused(tool, tmp_path):
    path = tmp_path / "optax.json"
    path.write_text('{"name": "optax",', encoding="utf-8")
    assert "optax.json: cannot be read" in refusal(tool, path)


def test_an_entry_without_results_says_how_to_get_them(tool, tmp_path):
    assert "run `python implementations/run.py --only optax`" in refusal(tool, tmp_path / "optax.json")


def test_results_without_an_entry_are_refused(tool, tmp_path, capsys):
    results = tmp_path / "results"
    put(results, RESULT, "nobody")
    assert tool["page"].main([f"--results={results}", f"--output={tmp_path}"]) == 2
    assert "nobody.json: no entry of catalogue.toml is called so" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.md"))


def test_results_are_written_as_the_same_bytes_whatever_their_order(tool, tmp_path):
    backwards = dict(reversed(RESULT.items()))
    paths = [tool["results"].write(data, tmp_path / name) for data, name in ((RESULT, "a"), (backwards, "b"))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert tool["results"].read(paths[0]) == RESULT
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["optax.json"]


def test_lines_of_the_results_are_pasted_again_and_compared(tool, tmp_path, capsys, monkeypatch):
    import reproduce

    monkeypatch.setattr(reproduce, "python_of", lambda name: Path(sys.executable))
    arguments = ["--only=optax", f"--results={tmp_path}"]
    put(tmp_path, RESULT)
    assert reproduce.main(arguments) == 0
    assert capsys.readouterr().out == "optax: 1 of 1\n1 of 1 lines print what the results say\n"
    put(tmp_path, json.loads(json.dumps(RESULT).replace('"printed": "nan"', '"printed": "inf"')))
    assert reproduce.main(arguments) == 1
    assert "printed 'inf'\n  now     'nan'" in capsys.readouterr().out
    assert reproduce.main(["--only=nobody"]) == 2
    assert "no entry has the name 'nobody'" in capsys.readouterr().err
