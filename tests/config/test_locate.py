from __future__ import annotations

import pytest

from paribus.config import locate
from paribus.errors import ConfigError


def test_the_installed_package_goes_before_the_checkout(tmp_path, monkeypatch):
    package, checkout = tmp_path / "src" / "paribus" / "conf", tmp_path / "conf"
    for folder in (package, checkout):
        folder.mkdir(parents=True)
    monkeypatch.setattr(locate, "__file__", str(package.parent / "config" / "locate.py"))
    with pytest.raises(ConfigError, match="no configuration folder"):
        locate.conf_dir()
    (checkout / "config.yaml").write_text("")
    assert locate.conf_dir() == checkout
    (package / "config.yaml").write_text("")
    assert locate.conf_dir() == package


def test_the_real_one_is_found():
    assert (locate.conf_dir() / "config.yaml").is_file()


@pytest.mark.parametrize("target", ["json.dumps", "json.decoder.JSONDecoder", "collections.abc.Mapping.get"])
def test_what_a_target_names_is_found(target):
    assert locate.target_object(target, "x").__name__ == target.rsplit(".", 1)[1]


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("json.dmps", "json has no 'dmps'; did you mean 'dumps'"),
        ("json.nope.dumps", "json has no 'nope'"),
        ("nope_nope.f", "there is no module 'nope_nope'"),
        ("json.decoder", "is no class or function"),
        ("json", "wants a dotted name"),
        ("json..dumps", "wants a dotted name"),
        ("json.dumps()", "wants a dotted name"),
        (None, "wants a dotted name"),
    ],
)
def test_what_is_wrong_with_a_target_is_said(target, part):
    with pytest.raises(ConfigError) as caught:
        locate.target_object(target, "model")
    assert str(caught.value).startswith("model._target_: ")
    assert part in str(caught.value)
