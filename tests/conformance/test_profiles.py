"""Profiles: complete, consistent, and with errors that name file, key, value and what is allowed."""

import copy
import dataclasses
import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from focal_ref.conformance.conventions.axes import ALL, AXES
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.profiles import (
    LIBRARIES,
    TIERS,
    ProfileError,
    Signature,
    load_profile,
    parse_profile,
    profile_from,
    shipped_profiles,
)
from focal_ref.conformance.profiles.capabilities import CAPABILITIES, FOLLOWING, KIND_CAPABILITIES
from focal_ref.conformance.profiles.signature import RETURNS, TARGETS

FOLDER = files("focal_ref.conformance.profiles")
SCHEMA = json.loads(FOLDER.joinpath("profile.schema.json").read_text(encoding="utf-8"))
LOSS = SCHEMA["$defs"]["loss"]["properties"]


def text_of(name):
    return FOLDER.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def document_of(name):
    return tomllib.loads(text_of(name))


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_loads_and_fits_the_schema(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.tiers
    jsonschema.validate(document_of(name), SCHEMA)


def test_a_profile_is_read_from_a_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text_of("optax"))
    assert load_profile(str(path)) == load_profile("optax")


def test_an_unknown_profile_names_the_shipped_ones():
    with pytest.raises(ProfileError, match=r"profile: got 'nothing'; it is neither a file nor one of .*numpy"):
        load_profile("nothing")


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match=r"mine\.toml: cannot be read as UTF-8 text"):
        load_profile(str(path))


ERRORS = [
    ('prediction = "logits"\n', "", "conventions.prediction: not declared; every axis is"),
    ("epsilon = 0\n", "", "conventions.epsilon: not declared; every axis is"),
    ('ignore = "none"\n', "", "conventions.ignore: not declared; every axis is"),
    ('prediction = "logits"', 'prediction = "guess"', "conventions.prediction: got 'guess'; allowed are logits, prob"),
    ('prediction = "logits"', 'prediction = "logit"', "got 'logit'; allowed are logits, probabilities; did you mean '"),
    ("subnormals = ", "subnormal = ", "conventions.subnormal: unknown; allowed are formula, prediction, multi_class"),
    ("epsilon = 0", "epsilon = 0.75", "conventions.epsilon: got 0.75; a number from 0 up to 0.5"),
    ("epsilon = 0", 'epsilon = "tiny"', "conventions.epsilon: got 'tiny'; a number from 0 up to 0.5"),
    ("epsilon = 0", "epsilon = 1e-7", "conventions.epsilon: got 1e-07; allowed are 0 with conventions.clipping = 'non"),
    ('ignore = "none"', 'ignore = "all"', "conventions.ignore: got 'all'; an integer label, or none"),
    ('ignore = "none"', "ignore = 1.5", "conventions.ignore: got 1.5; an integer label, or none"),
    ('background = "none"', "background = true", "conventions.background: got True; an integer label, or none, classe"),
    ('"pos/1-pos"', '"class-vector"', "conventions.alpha: got 'class-vector'; allowed are pos/1-pos, pos-only"),
    ('"blended"', '"formula"', "conventions.soft_targets: got 'formula'; allowed are blended, mixture, distance"),
    ('multi_class = "sigmoid"', 'multi_class = "softmax"', "conventions.alpha: got 'pos/1-pos'; allowed are uniform"),
    ('formula = "focal"', 'formula = "star"', "conventions.soft_targets: got 'blended'; allowed are unsupported"),
    ('library = "jax"', 'library = "tensorflow"', "profile.library: got 'tensorflow'; allowed are numpy, torch"),
    ('library = "jax"', 'library = "jax"\nkind = "los"', "profile.kind: got 'los'; allowed are loss, matcher, coder, "),
    ('float32 = "standard"', 'float32 = "perfect"', "claims.dtypes.float32: got 'perfect'; allowed are exact, tight"),
    ('float32 = "standard"', 'float32 = "clipped"', "claims.dtypes: 'clipped', but conventions.clipping is 'none'"),
    ('float32 = "standard"', 'float8 = "standard"', "claims.dtypes: got 'float8'; allowed are float64, float32"),
    ('float32 = "standard"\n', "", "claims.dtypes: empty; claim at least one of float64"),
    ('["vmap", ', '["telepathy", ', "claims.capabilities: got 'telepathy'; allowed are loss"),
    ('["vmap", ', '["vmpa", ', "claims.capabilities: got 'vmpa'; allowed are"),
    ('["vmap", ', '["gradient", ', "claims.capabilities: 'gradient' follows from conventions.gradient; leave it out"),
    ('["vmap", ', '["loss", ', "claims.capabilities: 'loss' follows from conventions; leave it out"),
    ("capabilities = [", "capabilities = 1 # [", "claims.capabilities: got 1; a list of names"),
    ('gamma = "gamma"\n', "", "signature.gamma: name the argument, or give the value at which it stands in signature."),
    ('gamma = "gamma"\n', 'gamma = "gamma"\nbeta = "beta"\n', "signature.beta: a loss has no beta; it has alpha, gamm"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\ngama = "gamma"\n', "signature.gama: unknown; allowed are function, bindin"),
    ('gamma = "gamma"\n', "gamma = 2\n", "signature.gamma: got 2; it is a text"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\norder = ["targets"]\n', "signature.order: got ['targets']; ['logits', 'ta"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\nreturns = "rows"\n', "signature.returns: got 'rows'; allowed are elements"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\nfixed = { gamma = 2 }\n', "signature.gamma: name the argument, or give th"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\nfixed = { delta = 2 }\n', "signature.fixed.delta: unknown; allowed are al"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\nminimum_rank = -1\n', "signature.minimum_rank: got -1; a number of dimens"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\npair = 1\n', "signature.pair: got 1; true or false"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\ntargets = "integer"\n', "signature.targets: got 'integer'; conventions.so"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\ngradient = "a:b"\n', "signature.gradient: named; conventions.gradient is"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\nconstruct = 1\n', "signature.construct: got 1; true or false"),
    ('gamma = "gamma"\n', 'gamma = "gamma"\nalpha_off = { a = 1 }\n', "signature.alpha_off: alpha_off and alpha_on ar"),
    ('function = "optax.losses:sigmoid_focal_loss"\n', "", "signature.function: not declared; it is package.module:"),
    ('"optax.losses:sigmoid_focal_loss"', '"optax.losses"', "signature.function: got 'optax.losses'; it is package"),
    ('alpha = "pos/1-pos"', 'alpha = "none"', "conventions.alpha: named, but"),
    ('mean = "unsupported"', 'mean = "elements"', "signature.reduction: not named; conventions.mean and conventions.s"),
    ("[claims]", "[claims]\nmood = 1", "claims.mood: unknown; allowed are dtypes, capabilities"),
    ("[profile]", "[profile", "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "message"), ERRORS)
def test_an_error_names_file_key_and_what_is_allowed(old, new, message):
    text = text_of("optax")
    assert old in text
    with pytest.raises(ProfileError) as error:
        parse_profile(text.replace(old, new, 1), "mine.toml")
    if message == "conventions.alpha: named, but":
        message = "signature.alpha: named, but conventions.alpha is 'none'"
    assert message in str(error.value)
    assert str(error.value).startswith("mine.toml: ")
    assert "\n" not in str(error.value).strip()


def test_what_is_not_a_table_is_named():
    with pytest.raises(ProfileError, match=r"mine\.toml: conventions: got 3; it is a table"):
        profile_from({**document_of("optax"), "conventions": 3}, "mine.toml")


def test_a_profile_of_a_program_needs_no_signature():
    document = document_of("optax")
    del document["signature"]
    with pytest.raises(ProfileError, match=r"mine\.json: signature: not declared"):
        profile_from(document, "mine.json")
    document["profile"]["library"] = "process"
    assert profile_from(document, "mine.json").function == "loss"


def test_what_a_function_is_and_can_do_follows_from_its_conventions():
    optax = load_profile("optax")
    assert optax.function == "loss"
    assert {"loss", "gradient", "autodiff", "soft_targets", "alpha", "alpha_balanced"} <= optax.capabilities
    assert not {"reduction_mean", "reduction_sum", "ignore", "softmax"} & optax.capabilities
    kornia = load_profile("kornia_multiclass")
    assert kornia.function == "softmax_loss"
    assert {"softmax", "softmax_alpha", "ignore", "reduction_mean", "hard_elements"} <= kornia.capabilities
    assert not {"loss", "alpha_balanced", "soft_targets", "background", "easy_elements"} & kornia.capabilities
    assert load_profile("fvcore_star").function == "star_loss"
    document = document_of("optax")
    document["conventions"] |= {"prediction": "probabilities", "clipping": "logarithm", "epsilon": 1e-8}
    profile = profile_from(document, "mine.toml")
    assert profile.function == "loss_from_probabilities"
    assert "hard_elements" not in profile.capabilities
    document["conventions"] |= {"gradient": "none"}
    assert not {"gradient", "autodiff"} & profile_from(document, "mine.toml").capabilities


def test_schema_table_of_axes_and_loader_have_the_same_values():
    conventions = LOSS["conventions"]["properties"]
    assert set(conventions) == set(ALL)
    assert {axis: tuple(conventions[axis]["enum"]) for axis in AXES} == {axis: tuple(AXES[axis]) for axis in AXES}
    assert tuple(LOSS["profile"]["properties"]["library"]["enum"]) == LIBRARIES
    dtypes = LOSS["claims"]["properties"]["dtypes"]["properties"]
    assert set(dtypes) == set(FORMATS)
    assert all(tuple(dtype["enum"]) == TIERS for dtype in dtypes.values())
    assert tuple(LOSS["signature"]["properties"]["targets"]["enum"]) == TARGETS
    assert tuple(LOSS["signature"]["properties"]["returns"]["enum"]) == RETURNS
    for kind, capabilities in KIND_CAPABILITIES.items():
        listed = SCHEMA["$defs"][kind]["properties"]["claims"]["properties"]["capabilities"]["items"]["enum"]
        assert tuple(listed) == capabilities
    assert set(FOLLOWING) | set(KIND_CAPABILITIES["loss"]) == set(CAPABILITIES)


DOCS = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")


def test_the_page_has_every_axis_value_and_key():
    (conventions,) = re.findall(r"^## Conventions\n(.*?)^## ", DOCS, re.MULTILINE | re.DOTALL)
    for axis, values in AXES.items():
        (row,) = re.findall(rf"^\| {axis} \|.*\n(?:\| \|.*\n)*", conventions, re.MULTILINE)
        named = {name.strip() for line in row.splitlines() for name in line.split("|")[2].split(",")}
        assert named == set(values), axis
    (keys,) = re.findall(r"^## Signature\n(.*?)^## ", DOCS, re.MULTILINE | re.DOTALL)
    for key in (one.name for one in dataclasses.fields(Signature)):
        assert key in keys or key in ("iou", "decode"), key
    for name in shipped_profiles():
        own = load_profile(name).package == "focal-ref"
        assert own or name in DOCS or load_profile(name).kind != "loss", name


def test_the_first_profile_of_the_page_loads():
    (block,) = re.findall(r"^## A first profile\n\n((?:    .*\n|\n)+)", DOCS, re.MULTILINE)
    text = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    assert parse_profile(text, "mine.toml").function == "loss"
    jsonschema.validate(tomllib.loads(text), SCHEMA)


def edits(node, path=()):
    """Every key of a document, renamed, and every value, made one of another type."""
    for key, value in node.items():
        yield (*path, key), "renamed"
        yield (*path, key), "retyped"
        if isinstance(value, dict):
            yield from edits(value, (*path, key))


def edited(document, path, how):
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    if how == "renamed":
        node[path[-1] + "_"] = node.pop(path[-1])
    else:
        node[path[-1]] = 17.25 if not isinstance(node[path[-1]], float | int) else "17.25"
    return document


FREE = {"constants", "alpha_off", "alpha_on", "environment"}


@pytest.mark.parametrize("name", ["keras_binary", "kornia_multiclass", "torchvision_matcher", "torchvision_coder"])
def test_what_the_schema_refuses_the_loader_refuses_too(name):
    document = document_of(name)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    refused = 0
    for path, how in edits(document):
        changed = edited(document, path, how)
        if validator.is_valid(changed):
            assert how == "renamed" or set(path) & FREE, path
            continue
        refused += 1
        with pytest.raises(ProfileError):
            profile_from(changed, "mine.toml")
    assert refused > 20
