"""A digest is that of the file as it is, and a file is read again only when it may have changed."""

from __future__ import annotations

import builtins
import hashlib
import os
import time

import pytest

from paribus import digests


@pytest.fixture
def read(monkeypatch):
    """Which files were opened."""
    digests.forget()
    seen = []
    original = builtins.open

    def opened(path, *args, **given):
        seen.append(os.path.basename(path))
        return original(path, *args, **given)

    monkeypatch.setattr(builtins, "open", opened)
    return seen


def settled(path, text):
    path.write_bytes(text)
    return path


@pytest.fixture
def later(monkeypatch):
    """Let files be older than they are."""
    now = time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + 10 * digests.SETTLED_NS)


def test_a_file_is_read_once_while_it_stays_what_it_is(tmp_path, read, later):
    path = settled(tmp_path / "a", b"one")
    expected = hashlib.sha256(b"one").hexdigest()
    assert [digests.file_digest(path) for _ in range(3)] == [expected] * 3
    assert digests.file_digests([path] * 9) == [expected] * 9
    assert read == ["a"]
    path.chmod(0o600)  # its status changed, and nobody knows what else: it is read once more
    assert [digests.file_digest(path) for _ in range(3)] == [expected] * 3
    assert read == ["a", "a"]


@pytest.mark.parametrize("how", ["in place", "replaced", "other size", "time of change put back"])
def test_a_change_is_seen_however_it_was_made(tmp_path, read, later, how):
    path = settled(tmp_path / "a", b"one")
    before = path.stat()
    first = digests.file_digest(path)
    if how == "replaced":
        settled(tmp_path / "b", b"two")
        os.replace(tmp_path / "b", path)
    else:
        path.write_bytes(b"three" if how == "other size" else b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests.file_digest(path) != first


def test_a_file_just_written_is_not_trusted(tmp_path, read):
    path = settled(tmp_path / "a", b"one")
    digests.file_digest(path)
    digests.file_digest(path)
    assert read == ["a", "a"]


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=path.name):
            digests.file_digest(path)


def test_many_at_once_are_in_the_order_asked_for(tmp_path):
    paths = [settled(tmp_path / str(number), str(number).encode()) for number in range(9)]
    assert digests.file_digests(paths) == [hashlib.sha256(str(number).encode()).hexdigest() for number in range(9)]


def test_files_below_a_folder_leave_out_what_is_hidden(tmp_path):
    for name in ("a", "b/c", ".hidden", ".git/x", "__pycache__/y"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert [path.relative_to(tmp_path).as_posix() for path in digests.files_below(tmp_path)] == ["a", "b/c"]


def test_names_have_one_digest_in_any_order():
    assert digests.names_digest(["a", "b"]) == digests.names_digest(["b", "a"]) != digests.names_digest(["ab"])
