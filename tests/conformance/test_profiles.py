"""Profiles: complete, consistent, and with errors that name file, key, value and what is allowed."""

from importlib.resources import files

import pytest

from focal_ref.conformance.profiles import ProfileError, load_profile, parse_profile, shipped_profiles


def text_of(name):
    return files("focal_ref.conformance.profiles").joinpath(f"{name}.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_loads(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.tiers


def test_a_profile_is_read_from_a_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text_of("optax"))
    assert load_profile(str(path)) == load_profile("optax")


def test_an_unknown_profile_names_the_shipped_ones():
    with pytest.raises(ProfileError, match=r"profile: got 'nothing'; it is neither a file nor one of .*kornia, numpy"):
        load_profile("nothing")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('prediction = "logits"\n', "", "mine.toml: conventions.prediction: not declared; every axis is"),
        ('prediction = "logits"', 'prediction = "guess"', "conventions.prediction: got 'guess'; allowed are logits"),
        ('library = "jax"', 'library = "tensorflow"', "profile.library: got 'tensorflow'; allowed are numpy, torch"),
        ('float32 = "standard"', 'float32 = "perfect"', "claims.dtypes.float32: got 'perfect'; allowed are exact"),
        ('float32 = "standard"', 'float8 = "standard"', "claims.dtypes: got 'float8'; allowed are float64, float32"),
        ('float32 = "standard"\n', "", "claims.dtypes: empty; claim at least one of float64"),
        ('"gradient", ', '"telepathy", ', "claims.capabilities: got 'telepathy'; allowed are gradient"),
        ('"soft_targets", ', "", "conventions.soft_targets is 'blended', but claims.capabilities lacks 'soft_targets'"),
        ('gamma = "gamma"\n', "", "signature: missing 1 required positional argument: 'gamma'"),
        ('gamma = "gamma"\n', 'gamma = "gamma"\nbeta = "beta"\n', "unexpected keyword argument 'beta'"),
        ("[claims]", "[claims]\nmood = 1", "claims.mood: unknown; allowed are dtypes, capabilities"),
        ("[profile]", "[profile", "mine.toml: not valid TOML"),
    ],
)
def test_an_error_names_file_key_and_what_is_allowed(old, new, message):
    text = text_of("optax")
    assert old in text
    with pytest.raises(ProfileError) as error:
        parse_profile(text.replace(old, new, 1), "mine.toml")
    assert message in str(error.value)
    assert str(error.value).startswith("mine.toml: ")
