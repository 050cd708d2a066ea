"""Checks for whatever may make a comparison claim more than its runs support, made before comparing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from paribus.compare.several import NO_SETTING, NO_SETTING_OF
from paribus.compare.values import setting_text, value_of
from paribus.compare.where import read
from paribus.errors import ExperimentError
from paribus.experiments.setup_runs import FINISHED, CollectedRun
from paribus.results.evidence import Evidence
from paribus.results.schema import Table

MISSING, DUPLICATES, POOLED, CODE = "missing_replicates", "duplicates", "pooled_runs", "mixed_code"
DATA, MODELS, EVIDENCE = "mixed_data", "mixed_models", "mixed_evidence"
SELECTED, SHARED = "selected_on_reported", "shared_data"
CHECKS: Mapping[str, str] = {
    MISSING: "a group lacks replicates that others have, or a run has no value",
    DUPLICATES: "several finished runs have one identity; the latest is used",
    POOLED: "runs that differ in a setting share group and replicate; their mean stands for it",
    CODE: "runs were made by several versions of the code",
    DATA: "one replicate saw other data in another group, or equal settings gave other data",
    MODELS: "one replicate is another model in another group, or equal settings gave other weights",
    EVIDENCE: "interventional results stand beside observational ones",
    SELECTED: "a checkpoint or number was chosen on the split that is reported",
    SHARED: "several replicates of a group share their data: intervals are over trainings, not over data",
}
"""What each check looks for, by the name that admits it."""
NO_DIGEST = "none"
RULE_ON_REPORTED = "peak_ood"
NUMBERS_ON_REPORTED = ("best_ood", "peak_ood_epoch")
TOLD = ("seed", "path", "weights", "file")
DATA_NAMES = ("data", "n_train")
MOST_SHOWN = 4
MOST_EXPECTED = 10_000


@dataclass(frozen=True)
class Placed:
    """A run with its group and replicate.

    Attributes:
        run: The run.
        group: Its group.
        unit: Its replicate.
        setting: Settings other than seeds in which it differs from other runs of its group and replicate.
    """

    run: CollectedRun
    group: str
    unit: str
    setting: str = ""


@dataclass(frozen=True)
class Finding:
    """One finding: the check, and a short text."""

    check: str
    text: str


@dataclass(frozen=True)
class Grouping:
    """How runs are grouped: params that make a group, params that make a replicate, and the restriction."""

    group_by: tuple[str, ...]
    unit: tuple[str, ...]
    where: tuple[str, ...] = ()


def place(runs: Iterable[CollectedRun], grouping: Grouping) -> tuple[list[Placed], dict[str, int]]:
    """Return the runs with group and replicate, and how many were left out because they lack which names."""
    found: list[Placed] = []
    absent: dict[str, int] = defaultdict(int)
    names = (*grouping.group_by, *grouping.unit)
    for run in runs:
        parts = [value_of(run, name) for name in names]
        lacking = [name for name, part in zip(names, parts, strict=True) if part is None]
        if lacking:
            absent[f"without {', '.join(lacking)}"] += 1
            continue
        cut = len(grouping.group_by)
        found.append(Placed(run, ", ".join(map(str, parts[:cut])), ", ".join(map(str, parts[cut:]))))
    return found, dict(absent)


def told_apart(placed: Sequence[Placed], grouping: Grouping) -> tuple[list[Placed], list[str]]:
    """Return the runs with the setting in which those of one group and replicate differ, and the params that make it.

    Seeds do not count as settings: runs that differ in nothing else repeat one measurement.
    """
    several = _by(placed, lambda each: (each.run.experiment_type, each.group, each.unit)).values()
    apart = _settings_apart([runs for runs in several if len(runs) > 1], (*grouping.group_by, *grouping.unit))
    names = [name for name in apart if not name.endswith("seed")]
    return [
        replace(each, setting=", ".join(setting_text(each.run.params.get(name, "not said")) for name in names))
        for each in placed
    ], names


def look_through(
    everything: Sequence[CollectedRun], placed: Sequence[Placed], grouping: Grouping, numbers: Collection[str]
) -> list[Finding]:
    """Return the findings about the runs that are compared.

    Args:
        everything: All runs of the types that are compared which fulfil the restriction, of every status.
        placed: The finished ones, one per identity and of one version, with group and replicate.
        grouping: How they are grouped.
        numbers: Names of what is compared.
    """
    found = [Finding(DUPLICATES, text) for text in _duplicates(everything)]
    for kind, mine in _by(placed, lambda each: each.run.experiment_type).items():
        ended = {each.run.run_id for each in mine}
        begun = [run for run in everything if run.experiment_type == kind and run.run_id not in ended]
        unfinished = place([run for run in begun if run.status != FINISHED], grouping)[0]
        found += [Finding(MISSING, text) for text in missing(mine, expected_units(grouping), unfinished)]
        found += [Finding(POOLED, text) for text in _pooled(mine, grouping)]
        found += [Finding(CODE, text) for text in _codes(kind, mine)]
        found += [Finding(DATA, text) for text in _data(mine, grouping)]
        found += [Finding(MODELS, text) for text in _models(mine, grouping)]
        found += [Finding(SHARED, text) for text in _shared(mine)]
    found += [Finding(EVIDENCE, text) for text in _evidence(placed)]
    found += [Finding(SELECTED, text) for text in _selected(placed, numbers)]
    return list(dict.fromkeys(found))


def admit(owner: str, found: Sequence[Finding], allowed: Collection[str]) -> None:
    """Refuse findings that are not admitted.

    Raises:
        ExperimentError: If there is any; the message lists all, with the override.
    """
    against = [each for each in found if each.check not in allowed]
    if not against:
        return
    names = list(dict.fromkeys(each.check for each in against))
    texts = [f"{name}: {_some([each.text for each in against if each.check == name], 3, '; ')}" for name in names]
    admitted = [name for name in CHECKS if name in names or name in allowed]
    hint = " Restrict with experiment.where, or name what differs in experiment.group_by." if POOLED in names else ""
    raise ExperimentError(
        f"{owner}: {' | '.join(texts)}.{hint} To compare all the same, which is then written on the figures: "
        f"experiment.allow=[{','.join(admitted)}]"
    )


def refuse_mixed_code(owner: str, found: Sequence[Finding], setting: str) -> None:
    """Refuse mixed code where the deprecated setting ``mixed_code`` is ``refuse``.

    Raises:
        ExperimentError: If there is some.
    """
    codes = [each.text for each in found if each.check == CODE]
    if codes and setting == "refuse":
        raise ExperimentError(f"{owner}: {codes[0]}; mixed_code=flag compares them anyway")


def completeness(found: Sequence[Finding], allowed: Collection[str]) -> Table:
    """Return a table with one row per check: what it looks for, its finding, and whether that was admitted."""
    rows = []
    for check, meaning in CHECKS.items():
        texts = [each.text for each in found if each.check == check]
        rows.append({"check": check, "n_found": len(texts), "found": "; ".join(texts),
                     "admitted": bool(texts) and check in allowed, "meaning": meaning})  # fmt: skip
    says = "What was looked for before comparing, and what was found."
    return Table("completeness", says, Evidence.COMPARISON, pd.DataFrame(rows))


def admitted_note(found: Sequence[Finding], allowed: Collection[str]) -> str:
    """Return the note of figures on admitted findings; empty if there are none."""
    names = [name for name in CHECKS if name in allowed and any(each.check == name for each in found)]
    if not names:
        return ""
    texts = [f"{name.replace('_', ' ')}: {[e.text for e in found if e.check == name][0]}" for name in names]
    return f"Admitted: {'; '.join(texts)}."


def expected_units(grouping: Grouping) -> frozenset[str]:
    """Return the replicates that a restriction names one by one or as a range of whole numbers."""
    if len(grouping.unit) != 1:
        return frozenset()
    for text in grouping.where:
        condition = read("where", text)
        if condition.name != grouping.unit[0] or condition.negated or not condition.spans:
            continue
        ends = [(span.low, span.high, span.open_low or span.open_high) for span in condition.spans]
        if all(not opened and low.is_integer() and high.is_integer() for low, high, opened in ends) and (
            sum(high - low for low, high, _ in ends) < MOST_EXPECTED
        ):
            return frozenset(str(n) for low, high, _ in ends for n in range(int(low), int(high) + 1))
    return frozenset()


def missing(mine: Sequence[Placed], expected: Collection[str] = (), unfinished: Sequence[Placed] = ()) -> list[str]:
    """Return which groups lack which replicates that were requested, started, or present in a group that shares some.

    Groups that share no replicate are different by design, and lack none of each other's.
    """
    units, begun = (
        {group: {each.unit for each in members} for group, members in _by(some, lambda each: each.group).items()}
        for some in (mine, unfinished)
    )
    said = []
    for group in dict.fromkeys((*units, *begun)):
        own = units.get(group, set())
        wanted = own | set(expected) | begun.get(group, set())
        for other in units.values():
            wanted |= other if other & own else set()
        lacking = sorted(wanted - own, key=in_order)
        if lacking:
            said.append(f"{group} lacks {_some(lacking)}" if own else f"{group} has no finished run ({_some(lacking)})")
    return said


def in_order(unit: str) -> tuple[Any, ...]:
    """Return the sort key of a replicate: numbers as numbers, part by part.

    Example:
        >>> sorted(["seed=10", "seed=2"], key=in_order)
        ['seed=10', 'seed=2']
    """
    parts: list[tuple[int, float, str]] = []
    for part in unit.split(", "):
        try:
            parts.append((0, float(part), ""))
        except ValueError:
            parts.append((1, 0.0, part))
    return tuple(parts)


def digest_of(run: CollectedRun, name: str) -> str | None:
    """Return the digest of a run's ``data`` or ``model``; None where it has none."""
    tag = f"{name}_digest"
    found = run.tags[tag] if tag in run.tags else run.origin.get(tag)
    return None if found in (None, "", NO_DIGEST) else str(found)


def _duplicates(runs: Sequence[CollectedRun]) -> list[str]:
    by_identity: dict[tuple[str, str], list[CollectedRun]] = defaultdict(list)
    for run in runs:
        if run.status == FINISHED:
            by_identity[run.experiment_type, run.identity].append(run)
    several = [each for each in by_identity.values() if len(each) > 1]
    if not several:
        return []
    shown = [" and ".join(run.run_id[:8] for run in each[:3]) for each in several]
    return [f"{sum(map(len, several))} finished runs share {len(several)} "
            f"{'identity' if len(several) == 1 else 'identities'} ({_some(shown)})"]  # fmt: skip


def _pooled(mine: Sequence[Placed], grouping: Grouping) -> list[str]:
    several = {key: runs for key, runs in _by(mine, lambda each: (each.group, each.unit)).items() if len(runs) > 1}
    if not several:
        return []
    names = _settings_apart(several.values(), (*grouping.group_by, *grouping.unit))
    count = sum(map(len, several.values()))
    return [
        f"{count} runs of {mine[0].run.experiment_type} share group and replicate with another"
        + (f" and differ in {_some(names)}" if names else "")
    ]


def _codes(kind: str, mine: Sequence[Placed]) -> list[str]:
    counts = Counter(each.run.code_version or "unknown" for each in mine)
    if len(counts) < 2:
        return []
    return [f"runs of {kind} were made by {len(counts)} versions of the code: "
            f"{_some([f'{str(version)[:10]} ({n})' for version, n in counts.items()])}"]  # fmt: skip


def _data(mine: Sequence[Placed], grouping: Grouping) -> list[str]:
    known = [(each, digest) for each in mine if (digest := digest_of(each.run, "data")) is not None]
    said = []
    if not any(name.partition(".")[0] in DATA_NAMES for name in grouping.group_by):
        said += _units_apart(known, "saw other data")
    said += _equal_settings_apart(known, "data", "data")
    return said


def _models(mine: Sequence[Placed], grouping: Grouping) -> list[str]:
    known = [(each, digest_of(each.run, "model") or each.run.model_run) for each in mine]
    there = [(each, digest) for each, digest in known if digest is not None]
    said = []
    if all(name.startswith("experiment.") for name in grouping.group_by):
        said += _units_apart(there, "are other models")
    given = [(each, digest) for each, digest in there if each.run.model_run is None]
    return said + _equal_settings_apart(given, "model", "weights")


def _units_apart(known: Sequence[tuple[Placed, str]], what: str) -> list[str]:
    """Return the replicates that have one digest in one group and another one in another."""
    groups: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for each, digest in known:
        groups[each.unit][each.group].add(digest)
    apart = [
        unit for unit, by_group in groups.items()
        if len(by_group) > 1 and len({frozenset(digests) for digests in by_group.values()}) > 1
    ]  # fmt: skip
    return [f"replicates {_some(sorted(apart, key=in_order))} {what} in other groups"] if apart else []


def _equal_settings_apart(known: Sequence[tuple[Placed, str]], group: str, what: str) -> list[str]:
    """Return that runs with equal settings of a config group have different digests: a file changed."""
    by_settings: dict[Any, set[str]] = defaultdict(set)
    for each, digest in known:
        own = {key: setting_text(value) for key, value in each.run.params.items() if key.partition(".")[0] == group}
        # data without a seed or a file in their settings may be drawn anew for every replicate
        told = any(key.rpartition(".")[2] in TOLD for key in own)
        by_settings[tuple(sorted(own.items())), "" if told else each.unit].add(digest)
    apart = [digests for digests in by_settings.values() if len(digests) > 1]
    return [f"equal settings of {group} gave {max(map(len, apart))} different {what}"] if apart else []


def _shared(mine: Sequence[Placed]) -> list[str]:
    said = []
    for group, members in _by(mine, lambda each: each.group).items():
        seen: dict[str, set[str]] = defaultdict(set)
        for each in members:
            if (digest := digest_of(each.run, "data")) is not None:
                seen[digest].add(each.unit)
        sharing = set().union(*(units for units in seen.values() if len(units) > 1))
        if sharing:
            said.append(f"{len(sharing)} replicates of {group} share their data with another")
    return said


def _evidence(placed: Sequence[Placed]) -> list[str]:
    counts = _by([each for each in placed if each.run.tags.get("evidence")], lambda each: each.run.tags["evidence"])
    kinds = {name for name in counts if name in ("interventional", "observational")}
    if len(kinds) < 2:
        return []
    types = {name: sorted({each.run.experiment_type for each in counts[name]}) for name in sorted(kinds)}
    return [", ".join(f"{'/'.join(of)} is {name}" for name, of in types.items())]


def _selected(placed: Sequence[Placed], numbers: Collection[str]) -> list[str]:
    by_rule = [each for each in placed if str(each.run.params.get("checkpoint")) == RULE_ON_REPORTED]
    said = [f"{len(by_rule)} runs read the checkpoint {RULE_ON_REPORTED}"] if by_rule else []
    return said + [f"{name} is the best of the reported split" for name in NUMBERS_ON_REPORTED if name in numbers]


def _settings_apart(several: Iterable[Sequence[Placed]], known: Sequence[str]) -> list[str]:
    """Return the settings in which runs of one place differ, those of the experiment first."""
    found: set[str] = set()
    for members in several:
        names = {name for each in members for name in each.run.params}
        for name in names - found:
            if name in NO_SETTING or name.startswith(NO_SETTING_OF) or name in known:
                continue
            if len({setting_text(each.run.params.get(name)) for each in members}) > 1:
                found.add(name)
        if "own_seed" not in found and len({each.run.own_seed for each in members}) > 1:
            found.add("own_seed")
    return sorted(found, key=lambda name: (not name.startswith("experiment."), name))


def _by(members: Iterable[Placed], key: Callable[[Placed], Any]) -> dict[Any, list[Placed]]:
    found: dict[Any, list[Placed]] = defaultdict(list)
    for each in members:
        found[key(each)].append(each)
    return dict(found)


def _some(texts: Sequence[str], most: int = MOST_SHOWN, between: str = ", ") -> str:
    more = f"{between}and {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def without_values(placed: Sequence[Placed], read: Collection[str], name: str) -> list[Finding]:
    """Return the replicates of runs of which a number could not be read, as missing ones.

    Args:
        placed: The runs that should hold it.
        read: Ids of those of which it was read.
        name: The number.
    """
    units = [replace(each, unit=f"{each.group}/{each.unit}") for each in placed if each.run.run_id not in read]
    names = list(dict.fromkeys(each.unit for each in units))
    return [Finding(MISSING, f"no {name} in {_some(names)}")] if names else []
