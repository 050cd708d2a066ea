"""Every command and every Python block of the README and of the pages in ``docs`` is run, at a small size."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from paribus.cli.main import main

ROOT = Path(__file__).parents[2]
OWN_TEST = {"extending.md", "own_subject.md"}  # worked examples with files of their own, and tests of their own
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name not in OWN_TEST)]

IMAGES = ["stats=quick", "data.n_train=80", "data.n_eval=60", "data.image_size=8"]
TRAINING = ["training.epochs=2", "training.n_evaluations=2", "training.n_checkpoints=1"]
STEPS = [
    "checkpoint=final",
    "experiment.steps.probe.n_controls=1",
    "experiment.steps.ablation.methods=[mean_difference,random]",
    "experiment.steps.steering.alphas=[-1,0,1]",
    "experiment.steps.neurons.ks=[0,4]",
]
BUILDS_STUDY = [
    "figures.formats=[png]",
    "data.n_builds=200",
    "model.embedding=8",
    "model.hidden=16",
    "slice.sample_size=60",
    "stats.n_null=10",
    "stats.n_bootstrap=100",
    "stats.n_permutations=99",
    "experiment.steps.survey.n_features=1",
    "experiment.steps.survey.screen_contexts=60",
    "experiment.steps.tokens.influence_contexts=60",
    "experiment.steps.weapons.swap_contexts=10",
    "experiment.steps.sweep.placebo_contexts=20",
    "experiment.steps.split_half.n_splits=10",
]
OTHER_STEPS = (
    *("sweep_second", "heatmap", "main_only", "interference", "interactions", "conditional", "cores", "itemsets"),
    *("coverage", "kits", "weapon_groups", "decoder", "shuffle_null"),
)
"""Steps of the builds study that are left out here: ``tests/e2e/test_builds_study.py`` runs all, and the golden tables
are about each of them on a trained model."""
UNDRAWN = ["figures.formats=[]"]
"""For the sweep of a study whose figures another command of the page draws, those of its comparisons too."""
SMALLER: list[tuple[str, list[str]]] = [
    (r"(^| )study=shortcut", [*IMAGES, *TRAINING, *STEPS]),
    # the README has trained seed 3 before: it is reused; the comparison reads no neurons, which the single job prunes
    (r"(^| )study=shortcut.*range", ["seed=3,4", "experiment.steps.neurons=null", *UNDRAWN]),
    (r"experiment=(subspace_ablation|activation_steering|neuron_ablation|probe_trajectory)", ["stats=quick"]),
    (r"(^| )study=builds", ["stats=quick", *BUILDS_STUDY, *(f"experiment.steps.{step}=null" for step in OTHER_STEPS)]),
    (
        r"(^| )study=modular_addition",
        ["data.p=7", "model.d_model=16", "experiment.steps.train.epochs=20", "stats.n_null=2", "figures.formats=[png]"],
    ),
    (r"(^| )study=modular_addition.*range", ["seed=3,4", *UNDRAWN]),
    (
        r"(data=builds_generated|model=planted|experiment=(family|minimal|pairwise))",
        ["stats=quick", "data.n_builds=200"],
    ),
    (r"constraints=strict", ["data.n_builds=2000"]),  # a small corpus joins too few pairs of families
    (r"experiment=compare", ["stats=quick"]),
    (r"data=table", TRAINING),
    (r"factor@experiment", ["stats=quick"]),
]
"""Words added to the commands that a pattern is found in; a word of the same key in the command gives way."""

VERBS = ("list", "runs", "show", "doctor", "ui", "status")


def smaller(words: list[str]) -> list[str]:
    """Return a command's words with those of :data:`SMALLER` in place of its own."""
    if words and words[0] in VERBS:
        return words
    added: dict[str, str] = {}
    for pattern, extra in SMALLER:
        if re.search(pattern, " ".join(words)):
            added |= {word.split("=")[0]: word for word in extra}
    return [*(word for word in words if word.split("=")[0] not in added), *added.values()]


def commands(documents, page: Path) -> list[list[str]]:
    return [words for block in documents.blocks(page) if block.language == "bash" for words in block.commands()]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_what_it_shows(documents, page, tmp_path, recomputation):
    shown = commands(documents, page)
    assert {words[0] for words in shown} <= {"paribus"}, "other programs belong into a block without a language"
    for block in documents.blocks(page):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    asked = [words[1:] for words in shown]
    printed = documents.run([smaller(words) for words in asked if words[0] != "ui"], tmp_path) if asked else []
    told = dict(zip([" ".join(words) for words in asked if words[0] != "ui"], printed, strict=True))
    for line, text in told.items():
        if line.startswith("spec "):
            assert "feature.id=3 experiment.family=special_charge_up" in text
            assert (
                "Valid. Nothing was run." in text or (tmp_path / "results/scu_dose__f3__family-1d-sweep.json").exists()
            )
    if "runs" in told:
        assert "FINISHED" in told["runs"] and "FAILED" not in told["runs"]
    if page.name == "README.md":
        follow_ups_equal_a_recomputation(tmp_path, recomputation)
    scripts = [block.text for block in documents.blocks(page) if block.language == "python"]
    for script in scripts:
        _run_python(documents, script, tmp_path)
    for words in asked:
        if words[0] == "ui":
            _start_and_stop_ui(documents, words, tmp_path)


def follow_ups_equal_a_recomputation(folder: Path, by_hand) -> None:
    """The experiments on the study's tracked model are about its own data: numbers from checkpoint and data alone."""
    from torch import nn

    from paribus.subjects.images.digits_scanners import DigitsScanners

    trained, training = by_hand.result(folder, "shortcut_digits", "tags.experiment_type = 'train_classifier'")
    data = DigitsScanners(
        **{name: value for name, value in training.config["data"].items() if name != "_target_"}
    ).load()

    def cut(epoch, place):
        state = by_hand.weights(folder, trained.run_id, epoch)
        parts: list[nn.Module] = []
        for stage in ("layer1", "layer2", "layer3"):
            shape = state[f"{stage}.0.weight"].shape
            conv = nn.Conv2d(shape[1], shape[0], 3, padding=1)
            conv.load_state_dict({name: state[f"{stage}.0.{name}"] for name in ("weight", "bias")})
            parts += [conv, nn.ReLU(), nn.MaxPool2d(2) if stage != "layer3" else nn.Identity()]
        head = nn.Linear(state["fc.weight"].shape[1], state["fc.weight"].shape[0])
        head.load_state_dict({name: state[f"fc.{name}"] for name in ("weight", "bias")})
        parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), head]
        return by_hand.Model(nn.Sequential(*parts[:place]), nn.Sequential(*parts[place:]), data)

    for kind, table, place, check in (
        ("subspace_ablation", "ablation", 11, by_hand.check_ablation),
        ("activation_steering", "sweep", 6, by_hand.check_steering),
    ):
        where = f"tags.experiment_type = '{kind}' and params.model = 'tracked'"
        run, found = by_hand.result(folder, "shortcut_digits", where)
        assert (run.tags["model_run"], run.tags["model_seed"]) == (trained.run_id, trained.tags["seed"])
        frame = found.tables[table].frame
        for epoch, rows in frame.groupby("epoch"):
            assert check(rows, cut(int(epoch), place)) >= 12


def _run_python(documents, script: str, folder: Path) -> None:
    small = 'import paribus as _p\n_run = _p.run\n_p.run = lambda words, **k: _run([*words, "stats=quick"], **k)\n'
    done = documents.python("-c", small + script, folder=folder)
    assert done.returncode == 0, f"{script}\n{done.stderr[-3000:]}"


def _start_and_stop_ui(documents, words: list[str], folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "ui.log"
    with log.open("w") as stream:
        started = subprocess.Popen(
            [sys.executable, "-m", "paribus", *words, "--port", str(port)],
            cwd=folder,
            env=documents.environment(),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            assert _answers(f"http://127.0.0.1:{port}/", started, 90), log.read_text()[-3000:]
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


def _answers(url: str, process: subprocess.Popen[bytes], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                return bool(page.status == 200)
        except OSError:
            time.sleep(0.3)
    return False


def test_make_targets_that_the_pages_name_exist_and_run_what_the_readme_says():
    made = (ROOT / "Makefile").read_text()
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")]:
        for target in re.findall(r"^make (\w+)|`make (\w+)`", page.read_text(), re.MULTILINE):
            assert re.search(rf"^{target[0] or target[1]}:", made, re.MULTILINE), f"{page.name}: make {target}"
    study = re.search(r"^run:.*\n\t\$\(BIN\)/paribus (.*)$", made, re.MULTILINE)
    assert study and "study=shortcut_digits" in study[1] and "range(8)" in study[1]


def test_commands_about_a_language_model_run_on_a_small_one(
    documents, tracked_workdir, tiny_encoder, needs_text, capsys
):
    """What ``docs/language_models.md`` and the README show runs on a transformer that knows the prompts."""
    import torch
    import transformers

    page = ROOT / "docs" / "language_models.md"
    for block in documents.blocks(page):
        if block.file:
            head, *rows = block.text.splitlines()  # the page shows two pairs; no test can be made of two
            more = [row.replace("city", other) for other in ("city", "north", "south", "east", "west") for row in rows]
            Path(block.file).write_text("\n".join([head, *more]))
    tiny_encoder.write_tokenizer(Path("small"), [Path("pairs.csv").read_text()])
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=49_152, **sizes)).save_pretrained("small")
    asked, first = _console(documents, page), _console(documents, ROOT / "README.md")
    assert len(asked) == 3 and [words for words in first if words not in asked] == [["verify"]]  # tests/cli runs it
    for words in asked:
        kept = [word for word in words if not word.startswith("model.path=")]
        assert len(kept) == len(words) - 1
        small = ["model.path=small", "stats=quick", "figures.formats=[]", "device=cpu"]
        known_data = ["dry_run=true"] if "study=induction" in words else []  # tests/e2e runs it on a known network
        assert main([*kept, *small, *known_data]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "Valid. Nothing was run" in told and told.count("tells about the run") == 2, told


def _console(documents, page):
    (shown,) = [block for block in documents.blocks(page) if block.language == "console"]
    return [words[2:] for words in shown.commands() if words[:2] == ["$", "paribus"]]


def test_links_and_images_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")]:
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http://", "https://", "api/")):  # docs/api is made, and checked, with the site
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_table_makes_a_command_smaller_and_keeps_the_rest():
    words = ["-m", "study=shortcut_digits", "training=standard,grokking", "seed=range(8)"]
    small = smaller(words)
    assert small[:3] == words[:3] and "seed=range(8)" not in small and "seed=3,4" in small
    assert smaller(["runs"]) == ["runs"]
