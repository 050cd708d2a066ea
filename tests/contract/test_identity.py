"""Identity sees everything that can change a number, and nothing else: change one thing, and look what becomes of it.

Everything is generated from the catalogue of options. An option that is added is covered without being named here; one
that lays its files out in its own way says so in ``LAYOUTS``, and is asked to.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paribus.config import catalogue
from paribus.config.check import build
from paribus.config.science import science, stated
from paribus.engine.device import DeviceSpec
from paribus.experiments import base
from paribus.experiments.base import Experiment
from paribus.models.sae import SAE
from paribus.running.contents import contents, fingerprint
from paribus.running.identify import identify
from paribus.running.request import Request
from paribus.running.resolved import Resolved
from paribus.running.sequence import Sequence
from paribus.spec import Spec, is_own, kind_of
from paribus.stats.spec import StatsSpec
from paribus.tracking.spec import TrackingSpec

# Layouts of files -----------------------------------------------------------------------------------------------------


def _plain_file(folder: Path, name: str) -> str:
    (folder / name).write_bytes(b"0123456789 content of " + name.encode())
    return str(folder / name)


def _image_folder(folder: Path) -> dict[str, Any]:
    for domain in "abc":
        for label in ("no", "yes"):
            place = folder / "set" / domain / label
            place.mkdir(parents=True)
            for number in range(2):
                _plain_file(place, f"{number}.png")
    return {"path": str(folder / "set"), "ood_domain": "c"}


def _class_folder(folder: Path) -> dict[str, Any]:
    made = _image_folder(folder)
    return {"path": f"{made['path']}/a", "layout": "classes", "cluster_file": _plain_file(folder / "set", "clusters")}


def _camelyon(folder: Path) -> dict[str, Any]:
    rows = ["patient,node,x_coord,y_coord,tumor,slide,center,split"]
    number = 0
    for center in range(5):
        for slide in range(3):
            for tumor in (0, 1):
                number += 1
                rows.append(f"{center:03d},0,{number},{number},{tumor},{center * 3 + slide},{center},0")
                place = folder / "set" / "patches" / f"patient_{center:03d}_node_0"
                place.mkdir(parents=True, exist_ok=True)
                _plain_file(place, f"patch_patient_{center:03d}_node_0_x_{number}_y_{number}.png")
    (folder / "set" / "metadata.csv").write_text("\n".join(rows) + "\n")
    return {"path": str(folder / "set"), "n_train": None, "n_eval": None}


def _tokenized(folder: Path) -> dict[str, Any]:
    place = folder / "set"
    place.mkdir()
    for name in ("tokenized_data.csv", "vocab.json", "weapon_vocab.json", "kits.csv"):
        _plain_file(place, name)
    return {"path": str(place), "kits": str(place / "kits.csv")}


def _statink(folder: Path) -> dict[str, Any]:
    place = folder / "set"
    place.mkdir()
    for name in ("2024-01-01.csv", "2024-01-02.csv", "vocab.json", "weapons.json", "kits.txt"):
        _plain_file(place, name)
    named = {"vocab": "vocab.json", "weapon_vocab": "weapons.json", "kits": "kits.txt"}
    return {"path": str(place), **{field: str(place / file) for field, file in named.items()}}


def _lens(folder: Path) -> dict[str, Any]:
    place = folder / "set" / "lens"
    place.mkdir(parents=True)
    for name in ("sae_weights.safetensors", "cfg.json"):
        _plain_file(place, name)
    return {"_target_": "paribus.models.sae.SAE", "path": str(place)}


def _splatgpt(folder: Path) -> dict[str, Any]:
    sae = _lens(folder)["path"]
    place = folder / "set"
    for name in ("model_ultra.pth", "model_params.json", "vocab.json", "weapon_vocab.json"):
        _plain_file(place, name)
    return {"path": str(place), "sae": sae}


def _set_completion(folder: Path) -> dict[str, Any]:
    sae = _lens(folder)
    return {"weights": _plain_file(folder / "set", "weights.pt"), "sae": sae}


def _hf(folder: Path) -> dict[str, Any]:
    place = folder / "set"
    place.mkdir()
    for name in ("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        _plain_file(place, name)
    return {"path": str(place)}


def _text_classifier(folder: Path) -> dict[str, Any]:
    return {"encoder": _hf(folder)["path"], "weights": _plain_file(folder / "set", "weights.pt")}


def _text_table(folder: Path) -> dict[str, Any]:
    place = folder / "set" / "encoder"
    place.mkdir(parents=True)
    _plain_file(place, "tokenizer.json")
    return {"path": _plain_file(folder / "set", "texts.csv"), "tokenizer": str(place)}


def _token_file(folder: Path) -> dict[str, Any]:
    (folder / "set").mkdir()
    return {"path": _plain_file(folder / "set", "path"), "n_tokens": 50}


def _latents(folder: Path) -> dict[str, Any]:
    (folder / "set").mkdir()
    return {"path": _plain_file(folder / "set", "path"), "latents": [0]}


def _two_networks(folder: Path) -> dict[str, Any]:
    network = folder / "set" / "network"
    network.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        _plain_file(network, name)
    autoencoders = {name: _plain_file(folder / "set", name) for name in ("path", "other_path")}
    return {**autoencoders, "other_model": str(network)}


LAYOUTS = {
    "experiment=latent_intervention": _latents,
    "experiment=match_features": _two_networks,
    "data=token_file": _token_file,
    "model=hf": _hf,
    "data=text_table": _text_table,
    "model=text_classifier": _text_classifier,
    "data=image_folder": _image_folder,
    "data=class_folder": _class_folder,
    "data=camelyon17": _camelyon,
    "data=builds_tokenized": _tokenized,
    "data=builds_statink": _statink,
    "model=splatgpt": _splatgpt,
    "model=set_completion": _set_completion,
    "model=set_completion_small": _set_completion,
}
"""Options whose fields do not simply name one file each: lay the files out below ``folder/set``, return the fields."""
REQUIRED = {"ood_domain": "x", "label": "x", "n_tokens": 50}
"""Values of required fields that are no files."""

OPTIONS = [option for group in catalogue.groups() for option in catalogue.options(group) if option.target]
SPECS = {f"{o.group}={o.name}": o.load() for o in OPTIONS if isinstance(o.load(), type) and issubclass(o.load(), Spec)}


def file_fields(cls: type[Spec]) -> list[str]:
    return [declared.name for declared in dataclasses.fields(cls) if declared.metadata.get("file")]


READERS = [name for name, cls in SPECS.items() if file_fields(cls)]


def laid_out(name: str, folder: Path) -> Spec:
    """Return the spec of an option with all its files there, below ``folder/set``."""
    folder.mkdir(parents=True, exist_ok=True)
    cls = SPECS[name]
    if name in LAYOUTS:
        given = LAYOUTS[name](folder)
    else:
        (folder / "set").mkdir()
        given = {field: _plain_file(folder / "set", field) for field in file_fields(cls)}
    needed = {f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING}
    given = {**{field: REQUIRED[field] for field in needed - set(given)}, **given}
    made = build({"_target_": f"{cls.__module__}.{cls.__qualname__}", **given}, name.split("=")[0])
    try:
        files = contents(made).files
    except Exception as error:
        pytest.fail(f"{name} cannot be laid out with one file for each field ({error}): give it a line in LAYOUTS")
    assert files, f"{name} names no file"
    return made


def relocated(value: Any, before: Path, after: Path) -> Any:
    """Return a spec with every path in it moved."""
    if isinstance(value, Spec):
        fields = {f.name: relocated(getattr(value, f.name), before, after) for f in dataclasses.fields(value)}
        return replace(value, **fields)
    return value.replace(str(before), str(after)) if isinstance(value, str) else value


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("name", READERS)
def test_one_byte_of_any_file_that_is_read_is_another_identity(name, tmp_path):
    if name == "data=camelyon17":
        pytest.skip("its table must stay one: see the next test")
    spec = laid_out(name, tmp_path)
    known = fingerprint(spec)
    for role, file in contents(spec).files.items():
        before = file.path.read_bytes()
        flip(file.path)
        assert fingerprint(spec) != known, f"{name}: {role}"
        file.path.write_bytes(before)
        assert fingerprint(spec) == known, f"{name}: {role} is as it was"


def test_one_byte_of_a_patch_or_another_row_of_the_table_is_another_identity(tmp_path):
    spec = laid_out("data=camelyon17", tmp_path)
    known = fingerprint(spec)
    files = {name: file.path for name, file in contents(spec).files.items()}
    assert len(files) == 31
    flip(next(path for name, path in files.items() if name.endswith(".png")))
    changed = fingerprint(spec)
    files["metadata.csv"].write_text(files["metadata.csv"].read_text().replace(",0,0,0\n", ",0,0,1\n", 1))
    assert len({known, changed, fingerprint(spec)}) == 3


@pytest.mark.parametrize("name", READERS)
def test_where_files_stand_and_what_stands_beside_them_is_no_science(name, tmp_path):
    spec = laid_out(name, tmp_path / "here")
    known = fingerprint(spec)
    shutil.copytree(tmp_path / "here", tmp_path / "there" / "deeper")
    moved = relocated(spec, tmp_path / "here", tmp_path / "there" / "deeper")
    assert moved != spec and fingerprint(moved) == known
    (tmp_path / "here" / "set" / "README.md").write_text("what this is")
    for file in contents(spec).files.values():
        file.path.touch()
    assert fingerprint(spec) == known


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_missing_is_one_clear_line(name, tmp_path):
    from paribus.errors import ParibusError

    spec = laid_out(name, tmp_path)
    path = next(iter(contents(spec).files.values())).path
    path.unlink()
    if name in ("data=image_folder", "data=class_folder", "data=builds_statink", "data=builds_tokenized"):
        return  # a folder with one image or export less is another data set; others say which file they miss
    with pytest.raises(ParibusError) as caught:
        fingerprint(spec)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


# Fields ---------------------------------------------------------------------------------------------------------------


NUMBERS = [1, 2, 3, 6, 12, 29, 0.5, 0.9, 0.25]
LISTS = [[], [1], [7], [0.25], [3, 6], [0.1, 0.9], ["x"], ["seed=1"], ["quick_respawn"]]
WORDS = ["x", "abcd", "epoch:3", "id_val", "ood", "quick_respawn", "probe", "seed=1"]
DICTS = [{"x": 1}, {"probe": 1}, {"seed": 1}]


def others(declared: dataclasses.Field[Any], value: Any) -> list[Any]:
    """Return values that a field might take instead of ``value``, the likely ones first."""
    choices = list(declared.metadata.get("choices") or ())
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1, value * 0.5, value + 0.01, value - 0.01, *NUMBERS]
    if isinstance(value, list | tuple):
        return [*LISTS, choices[:1], list(value)[:1], list(value)[1:]]
    if isinstance(value, str):
        return [*choices, f"{value}x", *WORDS]
    hint = str(declared.type)
    numbers = NUMBERS if "int" in hint or "float" in hint else []
    return [*numbers, *(LISTS if "list" in hint else []), *DICTS, *choices, *WORDS, True]


def changed_fields():
    """Yield every field of every shipped spec, each class once."""
    seen = set()
    for name, cls in SPECS.items():
        if cls not in seen:
            seen.add(cls)
            for declared in dataclasses.fields(cls):
                yield pytest.param(name, declared.name, id=f"{name}.{declared.name}")


TARGET = SPECS["experiment=binary_presence_effect"]()


def example(cls: type[Spec]) -> Spec:
    fills = {"str": "x", "float": 1.0, "int": 1, "Any": TARGET}
    needed = [f for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
    factor = SPECS["factor=patch" if getattr(cls, "type", "") == "patch" else "factor=units"]()
    named = {"factor": factor, "other": factor}
    further = {"n_tokens": 50} if cls is SPECS["data=prompt_pairs"] else {}  # ids of a file without a tokenizer
    least = {f.name: f.metadata["low"] for f in needed if f.metadata.get("low") and str(f.type) in ("int", "float")}
    given = {f.name: named.get(f.name, least.get(f.name, fills.get(str(f.type), "x"))) for f in needed}
    return cls(**given, **further)


def with_field(spec: Spec, declared: dataclasses.Field[Any]) -> Spec:
    """Return the spec with another value of a field: one that is accepted, else (it needs others beside it) any."""
    value = getattr(spec, declared.name)
    tried = [other for other in others(declared, value) if other != value]
    for other in tried:
        try:
            return replace(spec, **{declared.name: other})
        except Exception:
            continue
    changed = copy.copy(spec)
    object.__setattr__(changed, declared.name, tried[0])
    return changed


@pytest.mark.parametrize(("name", "field"), list(changed_fields()))
def test_a_field_of_science_changes_the_identity_and_another_does_not(name, field):
    cls = SPECS[name]
    try:
        spec = example(cls)
    except Exception as error:
        pytest.fail(f"{name}: no example can be made ({error})")
    declared = next(f for f in dataclasses.fields(cls) if f.name == field)
    changed = with_field(spec, declared)
    counts = field in stated(changed) or field in stated(spec)
    assert (science(changed) != science(spec)) is counts


# Requests -------------------------------------------------------------------------------------------------------------

MODEL = {"_target_": "paribus.models.small_cnn.SmallCNN", "width": 2}
DATA = {"_target_": "paribus.subjects.images.digits_scanners.DigitsScanners", "n_train": 60}


def request(experiment: Any, *, seed: int = 0, **nodes: Any) -> Resolved:
    """Return a resolved request on everything that an experiment may need."""
    given = {
        "data": build(DATA, "data"),
        "model": build(MODEL, "model"),
        "device": DeviceSpec(),
        "stats": StatsSpec(),
        "tracking": TrackingSpec(),
        **nodes,
    }
    for group in experiment.needs:
        if group not in given:
            given[group] = next(example(cls) for name, cls in SPECS.items() if name.startswith(f"{group}="))
    return Resolved(Request(experiment, given, {}, (), {}, seed, "peak_val", "auto"), None)


NORMED = {"normalize_activations": "layer_norm"}
HOOKED = {"metadata": {"hook_name": "blocks.0.hook_resid_post"}}
PLAIN = {"architecture": "standard", "normalize_activations": "none", "apply_b_dec_to_input": True}


@pytest.mark.parametrize(
    ("name", "config", "stated", "anew"),
    [
        ("feature=latent", PLAIN, {"site": "layer2"}, True),
        ("feature=latent", PLAIN, {}, False),
        ("feature=latent", HOOKED, {}, True),
        ("feature=latent", NORMED, {}, True),
        ("feature=latent", None, {"site": "layer2"}, False),
        ("factor=latent", PLAIN, {"site": "layer2"}, True),
        ("factor=latent", PLAIN, {}, False),
        ("factor=latent", {"rescale_acts_by_decoder_norm": True, "architecture": "topk", "k": 2}, {}, True),
        ("factor=latent", {"rescale_acts_by_decoder_norm": True}, {}, False),
        ("factor=latent", {"activation_fn": None, "activation_fn_str": "topk", "k": 2}, {}, True),
        ("factor=latent", {"activation_fn": None}, {}, False),
        ("factor=latent", None, {"site": "layer2"}, False),
        ("experiment=feature_survey", PLAIN, {}, True),
        ("experiment=feature_survey", None, {}, False),
        ("sae", PLAIN, {}, False),
        ("sae", HOOKED, {}, False),
        ("sae", {"normalize_activations": "constant_norm_rescale"}, {}, True),
        ("sae", {"normalize_activations": False}, {}, False),
        ("sae", None, {}, False),
    ],
)
def test_an_autoencoder_that_is_read_otherwise_than_before_is_another_identity(
    name, config, stated, anew, tmp_path, monkeypatch
):
    """Folders had their mean over positions encoded, and normalisation passed over: such a run is not taken again."""
    place = tmp_path / "sae"
    if config is None:
        place.write_bytes(b"a state dict")
    else:
        place.mkdir()
        (place / "sae_weights.safetensors").write_bytes(b"weights")
        (place / "cfg.json").write_text(json.dumps(config))
    cls = SAE if name == "sae" else SPECS[name]
    spec = cls(path=str(place), **stated)
    needing = next(cls for cls in map(SPECS.get, EXPERIMENTS) if "feature" in cls.needs)
    asked = request(spec) if isinstance(spec, Experiment) else request(example(needing), feature=spec)
    now = identify(asked)
    monkeypatch.setattr(cls, "fingerprint", (Experiment if issubclass(cls, Experiment) else Spec).fingerprint)
    assert (identify(asked) != now) is anew


EXPERIMENTS = [name for name, cls in SPECS.items() if issubclass(cls, Experiment)]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_number_format_counts_where_a_model_is_run_and_device_and_batch_limit_never(name):
    experiment = example(SPECS[name])
    plain = identify(request(experiment))
    for device in (DeviceSpec(name="cpu"), DeviceSpec(batch_limit=7)):
        assert identify(request(experiment, device=device)) == plain
    assert identify(request(experiment, tracking=TrackingSpec(heartbeat_seconds=7.0, folder="x"))) == plain
    other = identify(request(experiment, device=DeviceSpec(dtype="float64")))
    assert (other != plain) is experiment.takes_dtype
    assert identify(request(experiment, seed=1)) != plain


TRAIN = {"experiment=train_classifier", "experiment=train_set_completion", "experiment=train_modular_addition"}
WITHOUT_NETWORK = {
    "experiment=compare", "experiment=compare_features", "experiment=compare_interventions",
    "experiment=compare_modular_addition", "experiment=feature_report",
}  # fmt: skip


def test_what_was_measured_with_an_earlier_measurement_layer_is_not_taken_and_trained_networks_are(monkeypatch):
    """The study of several steps counts with each step that measures."""
    made = {name: example(SPECS[name]) for name in EXPERIMENTS}
    train, then = made["experiment=train_classifier"], made["experiment=sweep"]
    made["one that trains"] = Sequence(steps={"train": train})
    made["one that measures"] = Sequence(steps={"train": train, "then": then})
    now = {name: identify(request(experiment)) for name, experiment in made.items()}
    monkeypatch.setattr(base, "MEASURED", base.MEASURED + 1)
    kept = {name for name, experiment in made.items() if identify(request(experiment)) == now[name]}
    assert kept == {*TRAIN, *WITHOUT_NETWORK, "one that trains", "experiment=sequence"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_other_number_format_takes_effect_or_is_refused(name):
    from paribus.errors import ConfigError
    from paribus.running.setup import refuse_format

    experiment = example(SPECS[name])
    refuse_format(experiment, DeviceSpec())
    if experiment.takes_dtype:
        refuse_format(experiment, DeviceSpec(dtype="float64"))
        return
    with pytest.raises(ConfigError, match="device.dtype=float64: .*use device.dtype=float32"):
        refuse_format(experiment, DeviceSpec(dtype="float64"))


# Kinds ----------------------------------------------------------------------------------------------------------------


def _subclasses(cls: type) -> list[type]:
    return [cls, *(inner for sub in cls.__subclasses__() for inner in _subclasses(sub))]


def test_every_class_that_can_be_chosen_has_a_reserved_kind_of_its_own():
    kinds = {name: kind_of(cls) for name, cls in SPECS.items()}
    assert all(":" not in kind for kind in kinds.values())
    by_kind: dict[str, set[type]] = {}
    for cls in _subclasses(Spec):
        if is_own(cls.__module__) and "_declared_kind" in vars(cls):
            by_kind.setdefault(kind_of(cls), set()).add(cls)
    assert all(len(classes) == 1 for classes in by_kind.values())


@pytest.mark.parametrize("name", READERS + EXPERIMENTS)
def test_a_class_from_outside_with_the_name_of_a_shipped_one_is_another_thing(name):
    cls = SPECS[name]
    try:
        spec = example(cls)
    except Exception:
        return
    outside = type(cls.__name__, (cls,), {"__module__": "elsewhere", "__annotations__": {}})
    double = dataclasses.dataclass(frozen=True)(outside)
    values = {f.name: getattr(spec, f.name) for f in dataclasses.fields(cls)}
    assert science(double(**values)) != science(spec)
    assert kind_of(double) == f"elsewhere:{double.__qualname__}"


def test_a_kind_is_given_once_and_not_to_others():
    with pytest.raises(TypeError, match="reserved"):
        type("Mine", (Spec,), {"__module__": "elsewhere"}, kind="model/small_cnn")
    with pytest.raises(TypeError, match="belongs to"):
        type("Second", (Spec,), {"__module__": "paribus.models.second"}, kind="model/small_cnn")
