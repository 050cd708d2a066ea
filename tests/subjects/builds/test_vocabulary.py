import json

import pytest

from paribus.errors import ConfigError, DataError
from paribus.subjects.builds.families import DEFAULT_RUNGS, FAMILIES, MAIN_ONLY, STACKING
from paribus.subjects.builds.vocabulary import NULL, PAD, Vocabulary

DEFAULT = Vocabulary.default()


def test_default_has_138_abilities_and_two_special_tokens():
    assert len(FAMILIES) == 26 and len(MAIN_ONLY) == 12 and len(STACKING) == 14
    assert DEFAULT.size == 140
    assert len(DEFAULT.ability_tokens) == 138
    assert DEFAULT.rungs == DEFAULT_RUNGS == (3, 6, 12, 15, 21, 29, 38, 51, 57)
    assert DEFAULT.tokens[DEFAULT.pad_id] == PAD and DEFAULT.tokens[DEFAULT.null_id] == NULL


def test_canonical_order_is_pieces_then_alphabet():
    assert [f.piece for f in MAIN_ONLY] == ["head"] * 4 + ["clothes"] * 5 + ["shoes"] * 3
    names = [f.name for f in STACKING]
    assert names == sorted(names)
    assert DEFAULT.ability_tokens[0] == "comeback"
    assert DEFAULT.ability_tokens[12:15] == ("ink_recovery_up_3", "ink_recovery_up_6", "ink_recovery_up_12")


def test_ids_are_taken_from_the_file_whatever_their_order(tmp_path):
    names = ["swim_speed_up_12", PAD, "comeback", "swim_speed_up_3", NULL]
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({name: i for i, name in enumerate(names)}))
    vocabulary = Vocabulary.read(path)
    assert vocabulary.pad_id == 1
    assert vocabulary.rungs == (3, 12)
    assert vocabulary.ability_tokens == ("comeback", "swim_speed_up_3", "swim_speed_up_12")
    assert vocabulary.family_rungs(vocabulary.family("SSU")) == (3, 12)
    assert [f.name for f in vocabulary.families()] == ["comeback", "swim_speed_up"]
    with pytest.raises(ConfigError, match="no token in this vocabulary"):
        vocabulary.family("run_speed_up")


def test_older_rungs_are_read_from_the_vocabulary():
    old = Vocabulary.default((3, 10, 20, 30, 40, 50, 57))
    assert old.rungs == (3, 10, 20, 30, 40, 50, 57)
    with pytest.raises(ConfigError, match="3, 10, 20, 30, 40, 50, 57"):
        old.token("swim_speed_up_12")


@pytest.mark.parametrize("rung", [35, 41, 45, 48, 54, 0, -3, 10, True])
def test_a_rung_outside_the_vocabulary_names_the_nine(rung):
    with pytest.raises(ConfigError, match="3, 6, 12, 15, 21, 29, 38, 51, 57"):
        DEFAULT.rung_index(DEFAULT.family("special_charge_up"), rung)


def test_nearest_rung_is_a_choice_of_its_own():
    family = DEFAULT.family("special_charge_up")
    assert [DEFAULT.nearest_rung(family, ap) for ap in (1, 35, 41, 45, 48, 54, 99)] == [3, 38, 38, 51, 51, 51, 57]
    assert DEFAULT.nearest_rung(DEFAULT.family("comeback"), 3) == 10


@pytest.mark.parametrize("name", ["swim_sped_up", "", "swim_speed_up_3", "<PAD>", "12"])
def test_unknown_family_names_the_nearest(name):
    with pytest.raises(ConfigError, match="no ability family"):
        DEFAULT.family(name)


@pytest.mark.parametrize(
    "name", ["swim_speed_up", "swim_speed_up_4x", "comeback_10", "<NULL>", "haunted", "swim_speed_up_03"]
)
def test_unknown_token_is_refused(name):
    with pytest.raises(ConfigError, match="no ability token"):
        DEFAULT.token(name)


def test_names_and_abbreviations_mean_the_same():
    for family in FAMILIES:
        assert DEFAULT.family(family.short) == DEFAULT.family(family.name) == family
    assert DEFAULT.token("SSU_12") == DEFAULT.token("swim_speed_up_12")
    for name in DEFAULT.ability_tokens:
        assert DEFAULT.token_name(DEFAULT.token(name)) == name


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "cannot be read as JSON"),
        ("[1, 2]", "object of name -> id"),
        ('{"<PAD>": 1, "comeback": 2}', "not 0 to 1"),
        ('{"<PAD>": "0"}', "object of name -> id"),
        ('{"comeback": 0, "swim_speed_up_3": 1}', "no <PAD>"),
        ('{"<PAD>": 0, "swim_speed": 1, "swim_speed_up_3": 2}', "'swim_speed' is no ability token"),
        ('{"<PAD>": 0, "comeback": 1}', "0 different rungs"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_unfit_vocabulary_files(tmp_path, content, match):
    path = tmp_path / "vocab.json"
    path.write_text(content)
    with pytest.raises(DataError, match=match):
        Vocabulary.read(path)


def test_missing_vocabulary_file(tmp_path):
    with pytest.raises(DataError, match="no file"):
        Vocabulary.read(tmp_path / "vocab.json")


def test_a_token_that_stands_twice_is_refused():
    with pytest.raises(DataError, match="more than once"):
        Vocabulary((PAD, "swim_speed_up_3", "swim_speed_up_3"))
