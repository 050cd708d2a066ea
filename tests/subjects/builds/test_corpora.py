import csv
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paribus.errors import ConfigError, DataError
from paribus.subjects.builds.contexts import removal_probabilities, remove_some
from paribus.subjects.builds.edits import Edits
from paribus.subjects.builds.families import BY_SHORT
from paribus.subjects.builds.generated import ARCHETYPES, GENERATOR_VERSION, BuildsGenerated
from paribus.subjects.builds.legality import legal
from paribus.subjects.builds.statink import PLAYERS, BuildsStatink
from paribus.subjects.builds.tokenized import BuildsTokenized
from paribus.subjects.builds.tokens import decode_build, n_tokens, token_names
from paribus.subjects.builds.vocabulary import Vocabulary
from paribus.subjects.builds.weapons import Weapons

VOCABULARY = Vocabulary.default()
GOLDEN = (0, 1, ["100ce86e98805148", "aac825e905d305b4"])


# Removal of tokens ----------------------------------------------------------------------------------------------------


def test_removal_follows_r_to_the_power_of_1_2():
    p = removal_probabilities(5)
    assert len(p) == 4 and p[3] / p[0] == pytest.approx(4**1.2) and p.sum() == pytest.approx(1)
    assert len(removal_probabilities(1)) == 1
    builds = np.zeros((40_000, 16), np.uint16)
    builds[:, 3] = 0b11111
    builds[:, 15] = 77
    partial = remove_some(builds, np.random.default_rng(0))
    removed = 5 - n_tokens(partial)
    assert np.bincount(removed, minlength=5)[1:] / len(builds) == pytest.approx(p, abs=0.01)
    assert (partial[:, 15] == 77).all()
    held = [(partial[:, 3] >> bit & 1).mean() for bit in range(5)]
    assert np.ptp(held) < 0.02  # every token alike


@settings(deadline=None, max_examples=40)
@given(words=st.lists(st.integers(0, 511), min_size=14, max_size=14), seed=st.integers(0, 99))
def test_partial_builds_are_subsets_of_at_least_one_token_less(words, seed):
    build = np.array([[*words, 5, 9]], np.uint16)
    partial = remove_some(build, np.random.default_rng(seed))
    assert (partial[:, :15] & ~build[:, :15] == 0).all()
    assert n_tokens(partial)[0] < n_tokens(build)[0]


# Generated ------------------------------------------------------------------------------------------------------------


def test_every_ability_of_an_archetype_is_a_family():
    assert {short for archetype in ARCHETYPES for short in (*archetype.stacks, *archetype.wears)} <= set(BY_SHORT)


def test_generated_builds_are_legal_seeded_and_clustered():
    corpus = BuildsGenerated(n_builds=500, contexts_per_build=3, seed=1).load()
    assert legal(corpus.builds, VOCABULARY).all() and corpus.n_illegal == 0
    assert len(corpus.contexts) + corpus.n_empty == 1500
    assert corpus.digest == BuildsGenerated(n_builds=500, contexts_per_build=3, seed=1).load().digest
    assert corpus.digest != BuildsGenerated(n_builds=500, contexts_per_build=3, seed=2).load().digest
    whole = corpus.builds[corpus.contexts.cluster]
    assert (corpus.contexts.codes[:, :15] & ~whole[:, :15] == 0).all()  # a context is part of its source build
    assert (corpus.contexts.weapon == whole[:, 15]).all()


def test_whole_builds_are_closed_and_fill_the_slots():
    corpus = BuildsGenerated(n_builds=400, partial=False).load()
    edits = Edits(corpus.vocabulary, corpus.weapons)
    states = corpus.contexts.states()
    assert np.array_equal(edits.close_context(states).codes, states.codes)
    assert n_tokens(corpus.contexts.codes).min() >= 4


@pytest.mark.parametrize(("confounding", "low", "high"), [(0.0, 0.0, 0.04), (0.9, 0.1, 1.0)])
def test_weapons_and_abilities_are_confounded_on_purpose(confounding, low, high):
    corpus = BuildsGenerated(n_builds=6000, partial=False, confounding=confounding, seed=5).load()
    edits = Edits(corpus.vocabulary, corpus.weapons)
    stacked = edits.highest_rung(corpus.contexts.states(), "SCU") >= 29
    liked = np.array([w.special in ("Tacticooler", "Big Bubbler", "Ink Storm") for w in corpus.weapons.weapons])
    gap = stacked[liked[corpus.contexts.weapon]].mean() - stacked[~liked[corpus.contexts.weapon]].mean()
    assert low <= abs(gap) <= high


def test_feasibility_of_high_rungs_falls_as_in_real_partial_builds():
    corpus = BuildsGenerated(n_builds=2000).load()
    edits = Edits(corpus.vocabulary, corpus.weapons)
    swept = edits.sweep(corpus.contexts.states(), "SCU", [12, 29, 38, 51, 57])
    share = legal(swept.codes, VOCABULARY).mean(1)
    assert share == pytest.approx([0.92, 0.62, 0.42, 0.15, 0.02], abs=0.08)


def test_another_vocabulary_is_kept_to():
    vocabulary = Vocabulary.default((3, 10, 20, 30, 40, 50, 57))
    corpus = BuildsGenerated(n_builds=50).load(vocabulary, Weapons(("weapon_id_40", "weapon_id_8888")))
    assert corpus.vocabulary is vocabulary and set(corpus.contexts.weapon.tolist()) <= {0, 1}
    assert any("kit unknown for 1 weapon(s): weapon_id_8888" in warning for warning in corpus.warnings)


# Tokenized ------------------------------------------------------------------------------------------------------------


def write_tokenized(folder, rows, header="ability_tags\tweapon_id"):
    (folder / "vocab.json").write_text(json.dumps(dict(VOCABULARY.ids)))
    (folder / "weapon_vocab.json").write_text(json.dumps({n: i for i, n in enumerate(Weapons.default().names)}))
    (folder / "tokenized_data.csv").write_text("\n".join([header, *rows]) + "\n")
    return str(folder)


def row(*tokens, weapon=0):
    return f"{json.dumps([VOCABULARY.ids[t] for t in tokens])}\t{weapon}"


BUILD = ("swim_speed_up_3", "swim_speed_up_6", "comeback", "run_speed_up_3")


def test_tokenized_builds_are_read_with_duplicates_in_one_cluster(tmp_path):
    path = write_tokenized(tmp_path, [row(*BUILD, weapon=4), row(*BUILD[::-1], weapon=4), row(*BUILD, weapon=5)])
    corpus = BuildsTokenized(path=path, partial=False).load()
    assert len(corpus.builds) == 2 and corpus.contexts.cluster.tolist() == [0, 0, 1]
    assert set(token_names(corpus.contexts.codes[0], corpus.vocabulary)) == set(BUILD)
    partial = BuildsTokenized(path=path, contexts_per_build=20, seed=1).load()
    assert len(partial.contexts) == 60 and n_tokens(partial.contexts.codes).max() == 3


def test_bad_rows_are_counted_and_named_up_to_one_percent(tmp_path):
    good = [row(*BUILD)] * 199
    bad = ["[1, 2\t0"]
    corpus = BuildsTokenized(path=write_tokenized(tmp_path, [*good[:7], *bad, *good[7:]]), partial=False).load()
    assert corpus.n_rows == 200 and len(corpus.bad_rows) == 1 and corpus.bad_rows[0].startswith("line 9:")
    with pytest.raises(DataError, match=r"15 of 214 rows cannot be read \(more than 1 %\): line 2: .*line 11: [^;]*$"):
        BuildsTokenized(path=write_tokenized(tmp_path, [*bad * 15, *good])).load()


@pytest.mark.parametrize(
    "tags", ["[999]\t0", "[-1]\t0", "[1]\t130", "[1.5]\t0", '{"a": 1}\t0', "[true]\t0", "[1]\t", "[" * 5000]
)
def test_rows_that_cannot_be_read(tmp_path, tags):
    with pytest.raises(DataError, match="1 of 1 rows cannot be read"):
        BuildsTokenized(path=write_tokenized(tmp_path, [tags])).load()


def test_a_comma_separated_file_is_refused_with_a_hint(tmp_path):
    with pytest.raises(DataError, match="must be tab-separated"):
        BuildsTokenized(path=write_tokenized(tmp_path, [], header="ability_tags,weapon_id")).load()


def test_empty_and_missing_files(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        BuildsTokenized(path=write_tokenized(tmp_path, [])).load()
    with pytest.raises(DataError, match="is the corpus empty"):
        BuildsTokenized(path=write_tokenized(tmp_path, ["[]\t0"])).load()
    with pytest.raises(DataError, match="no file"):
        BuildsTokenized(path=str(tmp_path / "other")).load()
    with pytest.raises(ConfigError, match="path"):
        BuildsTokenized(path="")


def test_the_vocabulary_must_be_the_models(tmp_path):
    spec = BuildsTokenized(path=write_tokenized(tmp_path, [row(*BUILD)]))
    with pytest.raises(DataError, match="is not the model's"):
        spec.load(Vocabulary.default((3, 10, 57)))
    with pytest.raises(DataError, match="weapon vocabulary"):
        spec.load(VOCABULARY, Weapons(("weapon_id_40",)))


# stat.ink -------------------------------------------------------------------------------------------------------------

ABILITIES = {"swim_speed_up": 2.9, "quick_respawn": 1.2, "comeback": True}


def statink_csv(rows, comment=False):
    """Rows give the cells of A1 (weapon, abilities); the other seven play with unknown gear."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    stats = ("kill-assist", "kill", "assist", "death", "special", "inked")
    header = ["# season", "period", "lobby"]
    for player in PLAYERS:
        header += [f"{player}-weapon", *(f"{player}-{s}" for s in stats), f"{player}-abilities"]
    writer.writerow([*header, "medal1-name", "event"])
    if comment:
        writer.writerow(["# a comment", "", ""])
    for weapon, abilities in rows:
        cells = ["1", "2026", "xmatch", weapon, *"123456", abilities]
        for _ in PLAYERS[1:]:
            cells += ["sshooter", *"123456", ""]
        writer.writerow([*cells, "", ""])
    return stream.getvalue()


def test_statink_exports_are_read(tmp_path):
    path = tmp_path / "2026-01-01.csv"
    text = statink_csv(
        [("sshooter", json.dumps(ABILITIES)), ("heroshooter_replica", json.dumps(ABILITIES))], comment=True
    )
    assert "\r\n" in text
    path.write_text(text, newline="")
    corpus = BuildsStatink(path=str(path), partial=False).load()
    assert corpus.n_rows == 2 and len(corpus.contexts) == 2 and len(corpus.builds) == 1  # reskins collapse
    assert decode_build(corpus.builds[0], corpus.vocabulary) == {
        "comeback": 10,
        "quick_respawn": 12,
        "swim_speed_up": 29,
    }
    assert corpus.weapons.weapons[corpus.contexts.weapon[0]].name == "Splattershot"


def test_a_zip_and_a_folder_give_the_same_as_their_files(tmp_path):
    days = {f"2026-01-0{i}.csv": statink_csv([("sshooter", json.dumps({"swim_speed_up": i}))]) for i in (1, 2, 3)}
    folder = tmp_path / "days"
    folder.mkdir()
    for name, text in days.items():
        (folder / name).write_text(text, newline="")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, text in days.items():
            archive.writestr(f"2026/{name}", text)
        archive.writestr("README.txt", "no csv")
    one = BuildsStatink(path=str(folder), partial=False).load()
    other = BuildsStatink(path=str(tmp_path / "all.zip"), partial=False).load()
    assert one.digest == other.digest and len(one.contexts) == 3
    assert len(BuildsStatink(path=str(folder), partial=False, max_builds=2).load().contexts) == 2


@pytest.mark.parametrize(
    "abilities",
    ["{", "[]", '{"swim": 1}', '{"swim_speed_up": "1"}', '{"swim_speed_up": 70}', '{"swim_speed_up": true}'],
)
def test_bad_abilities_are_named_by_file_and_line(tmp_path, abilities):
    path = tmp_path / "day.csv"
    path.write_text(statink_csv([("sshooter", json.dumps(ABILITIES)), ("sshooter", abilities)]), newline="")
    with pytest.raises(DataError, match="1 of 2 rows cannot be read .*day.csv line 3: A1-abilities"):
        BuildsStatink(path=str(path)).load()


def test_weapons_outside_the_vocabulary_are_counted_not_dropped_in_silence(tmp_path):
    path = tmp_path / "day.csv"
    path.write_text(
        statink_csv([(key, json.dumps(ABILITIES)) for key in ("sshooter", "new_gun", "new_gun")]), newline=""
    )
    corpus = BuildsStatink(path=str(path), partial=False).load()
    assert len(corpus.contexts) == 1
    assert any("2 builds with weapons outside the vocabulary left out: new_gun (2)" in w for w in corpus.warnings)


def test_a_doubler_that_sums_to_66_is_accepted_and_an_impossible_build_left_out(tmp_path):
    doubled = {"ability_doubler": True, "swim_speed_up": 3.8, "run_speed_up": 1.8}
    impossible = {"swim_speed_up": 5.7, "run_speed_up": 5.7}
    path = tmp_path / "day.csv"
    path.write_text(statink_csv([("sshooter", json.dumps(b)) for b in (doubled, impossible)]), newline="")
    corpus = BuildsStatink(path=str(path), partial=False).load()
    assert len(corpus.contexts) == 1 and corpus.n_illegal == 1
    assert any("1 of 2 contexts are not legal builds" in w for w in corpus.warnings)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("season,period\r\n", "no battle export"),
        ("", "no battle export"),
        ("# season,A1-weapon\r\n", "lacks the column"),
    ],
)
def test_other_files_are_refused(tmp_path, text, match):
    path = tmp_path / "day.csv"
    path.write_text(text, newline="")
    with pytest.raises(DataError, match=match):
        BuildsStatink(path=str(path)).load()


def test_missing_damaged_and_empty_exports(tmp_path):
    with pytest.raises(DataError, match="no .csv or .zip"):
        BuildsStatink(path=str(tmp_path)).load()
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="no readable zip"):
        BuildsStatink(path=str(tmp_path / "x.zip")).load()
    (tmp_path / "day.csv").write_text(statink_csv([("sshooter", "")]), newline="")
    with pytest.raises(DataError, match="no build with known abilities"):
        BuildsStatink(path=str(tmp_path / "day.csv")).load()


def test_a_version_of_the_generator_is_one_corpus_bit_by_bit():
    """Raise GENERATOR_VERSION with these: runs on generated builds are told apart by it."""
    found = [BuildsGenerated(n_builds=300, seed=seed).load() for seed in (0, 1)]
    digests = [
        hashlib.sha256(
            corpus.builds.astype("<u2").tobytes() + corpus.contexts.codes.astype("<u2").tobytes()
        ).hexdigest()
        for corpus in found
    ]
    assert (found[0].n_empty, GENERATOR_VERSION, [digest[:16] for digest in digests]) == GOLDEN


def test_the_rungs_of_a_generated_corpus_are_those_of_the_game():
    assert tuple(BuildsGenerated().rungs) == VOCABULARY.rungs == (3, 6, 12, 15, 21, 29, 38, 51, 57)
