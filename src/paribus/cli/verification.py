"""Published numbers, shipped as small files, and the check whether this installation reproduces them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from paribus.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from paribus.results.schema import Result

SHIPPED = Path(__file__).parent / "published"
MOST_BYTES = 1 << 20
MOST_FILES = 200_000


@dataclass(frozen=True)
class Number:
    """A published number and its location in a result.

    Attributes:
        quantity: What it is.
        table: The table that holds it.
        column: Its column.
        rows: Column to value of the one row that is meant; empty where the table has only one.
        value: The published value.
        tolerance: Largest absolute deviation that counts as reproduced.
    """

    quantity: str
    table: str
    column: str
    rows: Mapping[str, Any]
    value: float
    tolerance: float

    def found(self, result: Result) -> float | None:
        """Return it from a result; None if no row fits (:meth:`absent` gives the message).

        Raises:
            ConfigError: If the result has no such table or column, several rows fit, or what is there is no number.
        """
        frame = self._meant(result)
        if len(frame) > 1:
            raise ConfigError(f"{self.quantity}: {len(frame)} rows of {self.table} are meant; say which one in rows")
        try:
            return float(frame[self.column].iloc[0]) if len(frame) else None
        except (TypeError, ValueError):
            raise ConfigError(
                f"{self.quantity}: {self.column} of {self.table} holds no number: {frame[self.column].iloc[0]!r:.60}"
            ) from None

    def absent(self, result: Result) -> str:
        """Return a message that the row is missing, with the existing values.

        Example:
            >>> import pandas as pd
            >>> from types import SimpleNamespace
            >>> result = SimpleNamespace(tables={"circles": SimpleNamespace(frame=pd.DataFrame({"frequency": [1, 2]}))})
            >>> Number("pizza in circle 3", "circles", "frequency", {"frequency": 3}, 0.9, 0.01).absent(result)
            'circles has no row with frequency 3; frequency is 1, 2'
        """
        frame = result.tables[self.table].frame
        if not len(frame):
            return f"{self.table} has no rows"
        wanted = " and ".join(f"{column} {value}" for column, value in self.rows.items())
        there = []
        for column in self.rows:
            values = list(dict.fromkeys(map(str, frame[column])))
            there.append(f"{column} is {', '.join(values[:8])}" + (", ..." if len(values) > 8 else ""))
        return f"{self.table} has no row with {wanted}; {'; '.join(there)}"

    def _meant(self, result: Result) -> pd.DataFrame:
        if self.table not in result.tables:
            raise ConfigError(f"{self.quantity}: no table {self.table!r}; {nearest(self.table, result.tables)}")
        frame = result.tables[self.table].frame
        for column in (self.column, *self.rows):
            if column not in frame:
                known = list(map(str, frame))
                raise ConfigError(f"{self.quantity}: {self.table} has no {column!r}; {nearest(column, known)}")
        for column, value in self.rows.items():
            frame = frame[frame[column] == value]
        return frame

    def holds(self, value: float) -> bool:
        """Return whether a value is the published one within the tolerance.

        Example:
            >>> Number("share", "t", "c", {}, 0.5, 0.01).holds(0.505)
            True
        """
        return abs(value - self.value) <= self.tolerance


@dataclass(frozen=True)
class Published:
    """Numbers that one request reproduces.

    Attributes:
        name: What was published.
        source: Where.
        files: File names that the request needs, by the name it uses.
        request: Its words, ``{name}`` standing for a file.
        numbers: The published numbers.
    """

    name: str
    source: str
    files: Mapping[str, str]
    request: tuple[str, ...]
    numbers: tuple[Number, ...]

    def words(self, places: Mapping[str, Path]) -> list[str]:
        """Return the words of the request with its files, untracked."""
        words = list(self.request)
        for name, path in places.items():
            words = [word.replace(f"{{{name}}}", str(path)) for word in words]
        return [*words, "tracking=off"]


def shipped() -> dict[str, Path]:
    """Return the files that ship with Paribus by name.

    Example:
        >>> "clock_pizza_a" in shipped()
        True
    """
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def read(path: Path) -> Published:
    """Read a declared file.

    Raises:
        ConfigError: If it is missing, too large, or says something else than it should.
    """
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"verify: {path}: no file of published numbers")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        _refuse_other_keys(tree, Published, "the file")
        name, source, request, numbers = (tree[key] for key in ("name", "source", "request", "numbers"))
        if not isinstance(request, list) or not isinstance(numbers, list) or not numbers:
            raise TypeError("request and numbers must be lists, and one number at least be named")
        return Published(
            name=str(name),
            source=str(source),
            files={str(key): str(value) for key, value in (tree.get("files") or {}).items()},
            request=tuple(str(word) for word in request),
            numbers=tuple(_number(each) for each in numbers),
        )
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"verify: {path}: is no YAML ({str(error).splitlines()[0]})") from None
    except KeyError as missing:
        raise ConfigError(f"verify: {path}: lacks {missing}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"verify: {path}: {error}; see one that ships: {SHIPPED}") from None


def _refuse_other_keys(tree: Any, kind: type, what: str) -> None:
    if not isinstance(tree, Mapping):
        raise TypeError(f"{what} must say name: value, got a {type(tree).__name__}")
    known = [one.name for one in fields(kind)]
    for key in tree:
        if key not in known:
            raise ValueError(f"{what} has no {key!r}; {nearest(str(key), known)}")


def _amount(tree: Mapping[str, Any], name: str) -> float:
    given = tree[name]
    found = math.nan if isinstance(given, bool) else float(given)
    if not math.isfinite(found) or (name == "tolerance" and found < 0):
        raise ValueError(
            f"{name} of {tree.get('quantity')} must be a number, and a tolerance not negative, got {given}"
        )
    return found


def _number(tree: Mapping[str, Any]) -> Number:
    _refuse_other_keys(tree, Number, "a number")
    return Number(
        quantity=str(tree["quantity"]),
        table=str(tree["table"]),
        column=str(tree["column"]),
        rows=dict(tree.get("rows") or {}),
        value=_amount(tree, "value"),
        tolerance=_amount(tree, "tolerance"),
    )


def located(files: Mapping[str, str], folders: Sequence[Path]) -> dict[str, Path]:
    """Return where the files are, of those that are found below the folders.

    Example:
        >>> located({"weights": "no-such-file.pt"}, [Path(".")])
        {}
    """
    wanted = {Path(name).name: key for key, name in files.items()}
    found: dict[str, Path] = {}
    for path in _walk(folders):
        if path.name in wanted:
            found.setdefault(wanted[path.name], path)
        if len(found) == len(wanted):
            break
    return found


def _walk(folders: Sequence[Path]) -> Iterator[Path]:
    seen = 0
    for folder in folders:
        for place, below, names in os.walk(folder):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in names:
                seen += 1
                if seen > MOST_FILES:
                    return
                yield Path(place) / name
