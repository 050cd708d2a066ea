import pytest

from paribus.errors import ConfigError, DataError
from paribus.subjects.builds.weapons import RESKIN_KEYS, RESKINS, UNKNOWN, Weapons, reference_weapons

DEFAULT = Weapons.default()


def test_the_reference_table_is_complete():
    table = reference_weapons()
    assert len(table) == DEFAULT.size == 130
    assert len({w.kind for w in table.values()}) == 11
    assert len({w.sub for w in table.values()}) == 14
    assert len({w.special for w in table.values()}) == 19
    assert len({w.key for w in table.values()}) == len({w.name for w in table.values()}) == 130
    assert all(i in table and i + 1 in table for i in table if i % 10 == 0)  # 65 weapons with two kits each
    assert (table[251].sub, table[251].special, table[251].kind) == ("Angle Shooter", "Killer Wail 5.1", "Blaster")


def test_a_weapon_is_found_by_every_name_it_has():
    weapon = DEFAULT.index("weapon_id_40")
    assert weapon == DEFAULT.index("Splattershot") == DEFAULT.index("splattershot") == DEFAULT.index("sshooter")
    assert weapon == DEFAULT.index("40") == DEFAULT.index(40)


def test_reskins_collapse_to_their_reference():
    table = reference_weapons()
    assert all(base in table and skin not in table for skin, base in RESKINS.items())
    assert all(DEFAULT.index(key) == DEFAULT.index(base) for key, base in RESKIN_KEYS.items())
    for name in ("weapon_id_45", "45", 45):
        assert DEFAULT.index(name) == DEFAULT.index("Splattershot")


def test_an_unknown_weapon_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'Splattershot'"):
        DEFAULT.index("Splatershot")


def test_weapons_outside_the_table_have_an_unknown_kit():
    weapons = Weapons(("weapon_id_40", "weapon_id_", "weapon_id_9999", "weapon_id_45"))
    assert weapons.unknown == ("weapon_id_", "weapon_id_9999")
    assert [w.sub for w in weapons.weapons] == ["Suction Bomb", UNKNOWN, UNKNOWN, "Suction Bomb"]
    groups, names = weapons.codes("special")
    assert [names[g] for g in groups] == ["Trizooka", UNKNOWN, UNKNOWN, "Trizooka"]


def test_kits_of_the_user_override_the_table(tmp_path):
    path = tmp_path / "kits.csv"
    path.write_text("id,name,sub,special\n40,Splattershot,Torpedo,Inkjet\n9999,New One,Ink Mine,Crab Tank\n")
    vocab = tmp_path / "weapon_vocab.json"
    vocab.write_text('{"weapon_id_40": 0, "weapon_id_9999": 1}')
    weapons = Weapons.read(vocab, path)
    assert [w.sub for w in weapons.weapons] == ["Torpedo", "Ink Mine"]
    assert weapons.unknown == ()


@pytest.mark.parametrize("text", ["id,name\n1,x\n", "id,name,sub,special\nx,a,b,c\n"])
def test_an_unfit_kit_table_is_refused(tmp_path, text):
    path = tmp_path / "kits.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="kits"):
        Weapons.read(_vocab(tmp_path), path)


def _vocab(folder):
    path = folder / "weapon_vocab.json"
    path.write_text('{"weapon_id_40": 0}')
    return path


def test_kits_group_sub_and_special():
    groups, names = DEFAULT.codes("kit")
    assert len(groups) == 130
    assert names[groups[DEFAULT.index("Splattershot")]] == "Suction Bomb / Trizooka"


def test_replicas_are_those_of_the_game():
    """A replica's id ends in 5 and has the base's other digits; the Splattershot has two more, 46 and 47."""
    further = {46: 40, 47: 41}
    assert {skin: RESKINS[skin] for skin in further} == further
    assert all(skin % 10 == 5 and base == skin - 5 for skin, base in RESKINS.items() if skin not in further)
    assert sorted(RESKINS.values()) == sorted(RESKIN_KEYS.values())
    assert RESKIN_KEYS["octoshooter_replica"] == RESKINS[47]
