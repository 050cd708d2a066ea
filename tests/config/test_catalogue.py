from __future__ import annotations

import pytest

from paribus.config import catalogue
from paribus.errors import ConfigError


def test_groups_and_options_are_read_without_composing(toy):
    assert catalogue.groups() == ["data", "device", "experiment", "model", "stats", "study", "tracking", "training"]
    assert [o.name for o in catalogue.options("model")] == ["net", "wide"]
    import toy_specs

    assert catalogue.options("model")[0].load() is toy_specs.Net
    with pytest.raises(ConfigError, match="no such group; did you mean 'model'"):
        catalogue.options("modl")
    with pytest.raises(ConfigError, match="names no _target_"):
        catalogue.options("study")[0].load()


def test_a_users_folder_adds_options_and_hides_none(toy, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# My own net.\n# It is wide.\n_target_: 'toy_specs.make_net'\n")
    (tmp_path / "model" / "net.yaml").write_text("_target_: other.thing\n")
    found = {o.name: o for o in catalogue.options("model", [tmp_path])}
    assert set(found) == {"mine", "net", "wide"}
    assert found["mine"].comment == "My own net. It is wide."
    assert found["net"].target == "toy_specs.Net"
    with pytest.raises(ConfigError, match="no such folder"):
        catalogue.groups([tmp_path / "nope"])


def test_the_variables_of_a_type(toy):
    import toy_specs

    found = {v.name: v for v in catalogue.variables(toy_specs.Net)}
    assert found["width"].limits == ">= 1" and found["width"].default == "16"
    assert found["activation"].limits == "relu | gelu"
    assert found["extras"].default == "{}"
    assert catalogue.variables(toy_specs.Sweep)[0].default is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([1, 2.5, "a"], "[1, 2.5, a]"),
        ({"a": None}, "{a: null}"),
        (1e-3, "0.001"),
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_defaults_are_written_as_in_yaml(value, text):
    assert catalogue.written(value) == text
