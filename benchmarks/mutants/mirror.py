"""Which tests speak for a source file: those that mirror it first, then whatever is known to run the changed function.

``stats/few.py`` is mirrored by ``tests/stats/test_few.py`` and by tests named for it (``test_few_*.py``);
a file with a leading underscore loses it. :data:`NAMED` adds tests that stand under another name.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

_RUNS = ("tests/tracking/test_store.py", "tests/running/test_run.py")
_INTERVENTIONS = (
    *("tests/contract/test_interventions.py", "tests/engine/test_evaluation.py", "tests/engine/test_split.py"),
    *("tests/engine/test_parts.py", "tests/engine/test_course.py", "tests/engine/test_plan.py"),
)
NAMED: dict[str, tuple[str, ...]] = {
    "compare/contrasts.py": ("tests/compare/test_compare_interventions.py",),
    "compare/effects.py": ("tests/compare/test_compare_interventions.py",),
    "compare/endpoints.py": ("tests/compare/test_compare_interventions.py",),
    "compare/sentences.py": ("tests/compare/test_compare_interventions.py", "tests/compare/test_compare.py"),
    "compare/several.py": ("tests/compare/test_compare_interventions.py",),
    "compare/values.py": ("tests/compare/test_where.py", "tests/compare/test_collect.py"),
    "engine/course.py": _INTERVENTIONS,
    "engine/given.py": _INTERVENTIONS,
    "engine/hooks.py": _INTERVENTIONS,
    "engine/intervention.py": _INTERVENTIONS,
    "engine/interventions.py": _INTERVENTIONS,
    "engine/plan.py": _INTERVENTIONS,
    "engine/closed_form.py": _INTERVENTIONS,
    "engine/replacements.py": _INTERVENTIONS,
    "engine/site_values.py": _INTERVENTIONS,
    "engine/split.py": _INTERVENTIONS,
    "engine/streaming.py": _INTERVENTIONS,
    "results/files.py": ("tests/results/test_io.py",),
    "results/frames.py": ("tests/results/test_io.py",),
    "results/schema.py": ("tests/results/test_io.py",),
    "results/values.py": ("tests/results/test_io.py",),
    "stats/blocks.py": ("tests/stats/test_clusters.py",),
    "stats/level_sums.py": ("tests/stats/test_levels.py",),
    "stats/multiplicity.py": ("tests/stats/test_inversion.py",),
    "subjects/builds/constraints.py": ("tests/subjects/builds/test_edits.py",),
    "subjects/builds/contexts.py": ("tests/subjects/builds/test_slices.py", "tests/subjects/builds/test_corpora.py"),
    "subjects/builds/families.py": ("tests/subjects/builds/test_vocabulary.py",),
    "subjects/builds/generated.py": ("tests/subjects/builds/test_corpora.py",),
    "subjects/builds/rows.py": ("tests/subjects/builds/test_corpora.py",),
    "subjects/builds/states.py": ("tests/subjects/builds/test_edits.py", "tests/subjects/builds/test_tokens.py"),
    "subjects/builds/statink.py": ("tests/subjects/builds/test_corpora.py",),
    "subjects/builds/tokenized.py": ("tests/subjects/builds/test_corpora.py",),
    "subspace/_logistic.py": ("tests/subspace/test_probes.py",),
    "tracking/artifacts.py": _RUNS,
    "tracking/environment.py": _RUNS,
    "tracking/kept.py": _RUNS,
    "tracking/life_mark.py": ("tests/tracking/test_heartbeat.py",),
    "tracking/local.py": _RUNS,
    "tracking/manifest.py": _RUNS,
    "tracking/metrics.py": ("tests/tracking/test_params.py",),
    "tracking/opening.py": ("tests/tracking/test_store.py",),
    "tracking/query.py": _RUNS,
    "tracking/relocate.py": _RUNS,
    "tracking/run.py": _RUNS,
    "tracking/store.py": ("tests/running/test_complete.py",),
}
"""Tests of a file beyond those that are found by name."""

WIDER = (
    *("tests/stats", "tests/engine", "tests/subspace", "tests/results", "tests/tracking", "tests/compare"),
    *("tests/subjects", "tests/experiments", "tests/running", "tests/report", "tests/planted", "tests/contract"),
)
"""Where tests beyond the mirror are looked for: everything that calls the rooms in the same process."""


def mirror(file: str, tests: Path) -> list[str]:
    """Return the test files that mirror a source file of the package, from the folder that holds ``tests``."""
    path = PurePosixPath(file)
    stem = path.stem.lstrip("_")
    folder = tests / path.parent
    found = [folder / f"test_{stem}.py", *sorted(folder.glob(f"test_{stem}_*.py"))]
    named = [tests.parent / name for name in NAMED.get(file, ())]
    return [str(one.relative_to(tests.parent)) for one in dict.fromkeys([*found, *named]) if one.exists()]


def test_files(tests: Path) -> list[str]:
    """Return every test file of :data:`WIDER`."""
    root = tests.parent
    return [str(path.relative_to(root)) for folder in WIDER for path in sorted((root / folder).rglob("test_*.py"))]
