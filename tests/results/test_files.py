"""Files that appear under their name in one step."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from paribus.results import files


def test_several_writers_of_one_file_never_mix(tmp_path):
    path, errors, seen = tmp_path / "a.json", [], set()
    texts = [str(number) * 40_000 for number in range(4)]

    def write(text):
        try:
            for _ in range(25):
                files.write_text(path, text)
        except OSError as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            seen.add(path.read_text())
    assert errors == [] and seen <= set(texts) and os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_stops_a_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = files.write_bytes(tmp_path / "deep" / "a.bin", b"old")
    with pytest.raises(type(error)), files.replacing(path, durable=True) as partial:
        partial.write_bytes(b"half of the n")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == ["a.bin"]


def test_a_copy_is_the_file(tmp_path):
    source = files.write_bytes(tmp_path / "a", os.urandom(100_000))
    copied = files.copy(source, tmp_path / "b" / "c")
    assert files.describe(copied) == files.describe(source)
    assert files.describe(copied).digest == hashlib.sha256(source.read_bytes()).hexdigest()
    assert files.describe(copied).size == 100_000


def test_what_is_described_is_what_stands_there_now(tmp_path):
    path = Path(files.write_text(tmp_path / "a", "one"))
    first = files.describe(path)
    path.write_text("two")
    assert files.describe(path) != first
