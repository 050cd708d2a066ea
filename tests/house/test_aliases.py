"""Arrays of the usual number formats have one name each, and `paribus.arrays` is where it is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "paribus"
NUMBERS = r"NDArray\[np\.(?:float(?:32|64)|int(?:32|64)|bool_)\]"
WRITTEN = re.compile(NUMBERS + r"|^(?:Floats|Ints|Bools|Singles|ShortInts)\b.*=", re.MULTILINE)


def test_what_is_looked_for_is_found():
    assert WRITTEN.search("x: npt.NDArray[np.int64]") and WRITTEN.search("Floats = npt.NDArray[np.floating]")
    assert not WRITTEN.search("x: npt.NDArray[np.uint8]") and WRITTEN.search((SOURCE / "arrays.py").read_text())


@pytest.mark.parametrize("room", sorted(path.name for path in SOURCE.iterdir() if path.is_dir()))
def test_no_room_writes_them_out_again(room):
    again = [str(path) for path in (SOURCE / room).rglob("*.py") if WRITTEN.search(path.read_text(encoding="utf-8"))]
    assert again == []
