"""A run's files are compared with those that its result names: there, as long, the same."""

from __future__ import annotations

import pytest

from paribus.errors import DataError
from paribus.results.files import describe
from paribus.results.schema import Artifact
from paribus.tracking.manifest import check_folder, check_listing


@pytest.fixture
def kept(tmp_path):
    (tmp_path / "tables").mkdir()
    names = ("report.html", "tables/a.json")
    for name in names:
        (tmp_path / name).write_text(f"this is {name}")
    return tmp_path, {name: describe(tmp_path / name) for name in names}


def test_files_as_they_were_pass(kept):
    check_folder(*kept)


def test_a_missing_file_is_named_unless_copies_of_some_are_looked_at(kept):
    folder, artifacts = kept
    (folder / "tables" / "a.json").unlink()
    with pytest.raises(DataError, match=r"its file tables/a\.json is missing"):
        check_folder(folder, artifacts)
    check_folder(folder, artifacts, absent_is_fine=True)


@pytest.mark.parametrize("absent_is_fine", [False, True])
@pytest.mark.parametrize(
    ("text", "said"), [("longer than it was", "has 18 bytes, not 19"), ("THIS is report.html", "was changed")]
)
def test_another_size_and_another_content_are_told_apart(kept, text, said, absent_is_fine):
    folder, artifacts = kept
    (folder / "report.html").write_text(text)
    with pytest.raises(DataError, match=f"its file report.html {said}"):
        check_folder(folder, artifacts, absent_is_fine=absent_is_fine)


def test_a_servers_list_must_name_every_file_with_its_size():
    artifacts = {"report.html": Artifact(5, "x"), "tables/a.json": Artifact(7, "y")}
    listing = {"": {"report.html": 5, "more": 1}, "tables": {"tables/a.json": 7}}
    check_listing(listing.__getitem__, artifacts)
    with pytest.raises(DataError, match=r"its file tables/a\.json is missing"):
        check_listing({**listing, "tables": {}}.__getitem__, artifacts)
    with pytest.raises(DataError, match=r"its file tables/a\.json has 8 bytes, not 7"):
        check_listing({**listing, "tables": {"tables/a.json": 8}}.__getitem__, artifacts)
