"""The catalogue of public implementations: what is in it exists, and what is wrong in it is told in one line."""

import sys
from pathlib import Path

import pytest

from focal_ref.conformance.profiles import load_profile

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "implementations"

ENTRY = {
    "name": "mine",
    "distribution": "optax",
    "function": "optax.losses:sigmoid_focal_loss",
    "environment": "torch",
    "profile": "optax",
    "kind": "loss",
}


@pytest.fixture
def catalogue(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import catalogue

    return catalogue


def written(folder, *entries, table="implementation"):
    path = folder / "catalogue.toml"
    texts = [f"[[{table}]]\n" + "".join(f"{key} = {value!r}\n" for key, value in entry.items()) for entry in entries]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_every_entry_has_a_profile_that_can_be_loaded(catalogue, monkeypatch):
    monkeypatch.chdir(ROOT)
    for entry in catalogue.load().implementations:
        assert load_profile(entry.profile_option).library != "process"


def test_every_own_profile_has_an_entry(catalogue):
    named = {entry.profile for entry in catalogue.load().implementations}
    assert {path.name for path in (FOLDER / "profiles").glob("*.toml")} <= named


def test_every_pin_is_exact(catalogue):
    for path in (FOLDER / "environments").glob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                assert line.count("==") == 1, f"{path.name}: {line}"


def test_a_complete_entry_is_read(catalogue, tmp_path):
    (entry,) = catalogue.load(written(tmp_path, ENTRY)).implementations
    assert entry.profile_option == "optax"
    assert (entry.note, entry.target, entry.time_limit) == ("", "", None)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kind": "los"}, "catalogue.toml: mine: kind: got 'los'; allowed are loss, boosting, matcher, coder, iou"),
        ({"profil": "optax"}, "catalogue.toml: [[implementation]] mine: profil: unknown; allowed are name, "),
        ({"profile": 3}, "catalogue.toml: [[implementation]] mine: profile: got 3; it is a text"),
        ({"profile": "gone.toml"}, "catalogue.toml: mine: profile: got 'gone.toml'; it is a file under profiles/ or"),
        ({"profile": "gone"}, "catalogue.toml: mine: profile: got 'gone'; it is a file under profiles/ or"),
        ({"environment": "gone"}, "mine: environment: got 'gone'; there is no environments/gone.txt"),
        ({"function": "optax.losses"}, "mine: function: got 'optax.losses'; it is package.module:name"),
        ({"name": "../mine"}, "name: got '../mine'; letters, digits, - and _, as it names files"),
        ({"time_limit": "long"}, "[[implementation]] mine: time_limit: got 'long'; it is in seconds"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_is_allowed(catalogue, tmp_path, change, text):
    with pytest.raises(catalogue.CatalogueError) as raised:
        catalogue.load(written(tmp_path, {**ENTRY, **change}))
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_key_is_named(catalogue, tmp_path):
    entry = {key: value for key, value in ENTRY.items() if key != "kind"}
    with pytest.raises(catalogue.CatalogueError, match=r"\[\[implementation\]\] mine: kind: not given"):
        catalogue.load(written(tmp_path, entry))


def test_a_name_that_is_there_twice_is_refused(catalogue, tmp_path):
    with pytest.raises(catalogue.CatalogueError, match="'mine' is there twice"):
        catalogue.load(written(tmp_path, ENTRY, ENTRY))


def test_an_unknown_table_and_a_file_that_is_no_toml_are_refused(catalogue, tmp_path):
    with pytest.raises(catalogue.CatalogueError, match=r"got \[\[others\]\]; allowed are \[\[implementation\]\]"):
        catalogue.load(written(tmp_path, {"name": "x"}, table="others"))
    (tmp_path / "catalogue.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(catalogue.CatalogueError, match=r"catalogue\.toml: cannot be read: "):
        catalogue.load(tmp_path / "catalogue.toml")


def test_it_is_read_without_any_package(catalogue):
    # run.py builds the environments, before anything is installed.
    source = (FOLDER / "catalogue.py").read_text(encoding="utf-8")
    lines = [line.split() for line in source.splitlines() if line.startswith(("import", "from"))]
    assert {words[1].partition(".")[0] for words in lines} <= set(sys.stdlib_module_names)
