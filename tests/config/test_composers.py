from __future__ import annotations

import pytest

from paribus.config.composers import MOST, _kept, composer_of


@pytest.fixture(autouse=True)
def nothing_kept():
    _kept.clear()
    yield
    _kept.clear()


def test_a_composer_is_kept_until_an_option_changes(tmp_path):
    (tmp_path / "stats").mkdir()
    option = tmp_path / "stats" / "own.yaml"
    made = []
    for count in (500, 700):
        option.write_text(f"_target_: paribus.stats.spec.StatsSpec\nn_permutations: {count}\n")
        made += [composer_of([str(tmp_path)]), composer_of([str(tmp_path)])]
        assert made[-1].node("stats", ["stats=own"]).n_permutations == count
    assert made[0] is made[1] and made[1] is not made[2] and made[2] is made[3]
    option.unlink()
    assert "own" not in composer_of([str(tmp_path)]).options("stats")


def test_folders_that_the_words_name_count_too_and_few_are_kept(tmp_path):
    words = [f"hydra.searchpath=[file://{tmp_path}]"]
    first = composer_of([], words)
    assert composer_of([], words) is first and composer_of([]) is not first
    (tmp_path / "new.yaml").write_text("{}")
    assert composer_of([], words) is not first
    for number in range(MOST + 2):
        (tmp_path / f"d{number}").mkdir()
        composer_of([str(tmp_path / f"d{number}")])
    assert len(_kept) == MOST
