"""Commands that the pages only sketch (``text`` blocks: long ones, with places to fill in) are requests that are valid.

Those in ``bash`` blocks are run as they stand: see ``test_commands``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paribus.cli.main import main
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.states import run_states

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TINY = [
    "experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted", "data.n_builds=40",
    "stats=quick", "experiment.placebo_contexts=20",
]  # fmt: skip
SMALLER = {
    "study=shortcut_digits": ["data.n_train=80", "data.n_eval=60", "data.image_size=8", "data.eval_renderings=1"],
    "study=modular_addition": ["data.p=7", "model.d_model=16"],
}
"""What makes looking at a request quick, by a word of it."""
MEANT = {
    "RUN": "RUN", "training=standard": "seed=0", "training=grokking": "seed=1", "subspace_ablation": "family_1d_sweep",
}  # fmt: skip
"""What stands for what a verb is given, in a store with two small runs."""
RUNS = ("RUN", "1a2b3c4d", "5e6f7a8b")
OTHER_RUNS = (
    "paribus: compare: no run of ", "paribus: model.run=latest: no finished training run ",
    "paribus: runs: no finished run bears on ", "paribus: gallery: no runs found; ",
)  # fmt: skip
"""What is said of a request that is about runs which the small store does not have."""
ELSEWHERE = ("SERVER", "my_conf", "weights/", "DIR")
"""Places of the user's own."""


@pytest.fixture(scope="module")
def sketched(documents):
    """The commands, each as its words."""
    found = []
    for page in PAGES:
        blocks = [block for block in documents.blocks(page) if block.language == "text"]
        found += [words[1:] for block in blocks for words in block.commands() if words[0] == "paribus"]
    return found


def filled_in(words: list[str], run: str) -> list[str]:
    """Return a command with its places filled in: jobs are looked at, not run, and the store is this folder's."""
    words = words[: words.index(">")] if ">" in words else words
    if not words[0].startswith("-") and "=" not in words[0] and words[0] != "plan":
        return [run if word in RUNS else MEANT.get(word, word) for word in words]
    kept = [word for word in words if not word.startswith("tracking")]
    kept = [each for word in kept for each in (TINY if word == "..." else [word])]
    kept += [each for word, more in SMALLER.items() if any(word in one for one in kept) for each in more]
    return kept if words[0] == "plan" else [*kept, "dry_run=true"]


def test_every_sketch_is_a_valid_request(sketched, tracked_workdir, undrawn_figures, capsys):
    assert main(["-m", *TINY, "seed=0,1"]) == 0
    run = run_states(TrackingSpec())[0].run_id[:8]
    tried, left_out = [], []
    for words in sketched:
        if any(place in word for word in words for place in ELSEWHERE):
            left_out.append(words)
            continue
        capsys.readouterr()
        code, told = main(filled_in(words, run)), capsys.readouterr()
        asks_for_others = any(said in told.err for said in OTHER_RUNS)  # read, and valid up to there
        assert code == 0 or asks_for_others, f"paribus {' '.join(words)}: {told.err}"
        tried.append(words)
        if "--commands" in words:
            assert len(told.out.splitlines()) == 16 and all(
                line.startswith("paribus ") for line in told.out.splitlines()
            )
    assert len(tried) >= 11 and len(left_out) <= 2, left_out


def test_the_lines_that_a_launcher_is_shown_with_name_its_options():
    page = (ROOT / "docs" / "sweeps.md").read_text()
    assert set(re.findall(r"hydra/launcher=(\w+)", page)) == {"joblib", "submitit_local", "submitit_slurm", "ray"}
