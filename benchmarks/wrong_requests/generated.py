"""Wrong requests generated over every option of every group, every field of every class,
every verb and every file."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

from benchmarks.wrong_requests.wrong import Wrong
from paribus.cli.verb import names as verbs
from paribus.config import catalogue
from paribus.spec import Spec

IMAGES = "experiment=train_classifier"
BUILDS = ("experiment=family_1d_sweep", "model=planted", "experiment.family=SCU")
BASES = {
    "data": (IMAGES,), "model": (IMAGES,), "training": (IMAGES,), "device": (IMAGES,), "stats": (IMAGES,),
    "tracking": (IMAGES,), "feature": BUILDS, "slice": (*BUILDS, "feature=threshold"),
    "constraints": (*BUILDS, "feature=threshold"), "factor": ("experiment=sweep",), "experiment": (),
}  # fmt: skip
"""What else is asked for with an option of each group."""
HUGE = ("1000000000000", "1000000000000000000", "9223372036854775808", "1e308", "-1e308", "1e-308", "-1",
        "1" + "0" * 400)  # fmt: skip
FILES = ("nowhere", "text.pt", "pipe.pt", "pipe.npz", "empty", "garbage", "garbage/mlflow.db", "/dev/zero",
         "/dev/null",
         "/proc", "/proc/self/mem", "damaged.npz", "claims.npz", "looped", "evil.pt", "bomb", "zip_bomb.npz",
         "many_columns.csv", "deep.json", "long_line.csv", "nul.csv", "claims.npy", "~nosuchuser/x",
         "x" * 300, "x" * 5000, "..", "/", "")  # fmt: skip
STORES = ("garbage", "empty_database", "text.pt", "text.pt/x", "nowhere", "other_database", "/proc", "/dev/null",
          "looped", "pipe.npz", "database_is_folder", "old_file_store", "~nosuchuser/x", "x" * 300,
          "x" * 5000)  # fmt: skip
TYPED = {
    "int": ("fast", "2.5", "true", "[1]", "{a: 1}", "nan", "inf", "''"),
    "float": ("fast", "true", "[0.1]", "{a: 1}", "nan", "''"),
    "str": ("[a]", "{a: 1}", "true", "2.5"),
    "bool": ("perhaps", "2", "[true]", "{a: true}"),
    "list": ("{a: 1}", "[[[1]]]", "[{a: 1}]", "[null]"),
    "dict": ("5", "[1]", "text"),
}
"""Values that a field of each type cannot hold."""


def typed() -> Iterator[Wrong]:
    """Yield, for every field of every option, values of other types, outside its range, and misspelt names of it."""
    for group, option, cls, place, base in _options():
        hints = typing.get_type_hints(cls)
        chosen = (*base, *_chooses(group, option), *_required(cls, place))
        for declared in dataclasses.fields(cls):
            if not declared.init or isinstance(declared.default, Spec):
                continue
            where = f"{place}.{declared.name}"
            for value in _bad(hints[declared.name], declared.metadata):
                words = tuple(word for word in chosen if not word.startswith(f"{where}="))
                yield Wrong((*words, f"{where}={value}"), (where,))
            yield Wrong((*chosen, f"{where}x=1"), (f"{where}x",))
            yield Wrong((*chosen, f"+{where}_=1"), (f"{where}_",))


def extreme() -> Iterator[Wrong]:
    """Yield numbers that are too large or too small for anything; a field may take some of them."""
    for group, option, cls, place, base in _options():
        chosen = (*base, *_chooses(group, option), *_required(cls, place))
        for declared in dataclasses.fields(cls):
            if not declared.init or not {"int", "float"} & set(_kinds(typing.get_type_hints(cls)[declared.name])):
                continue
            where = f"{place}.{declared.name}"
            words = tuple(word for word in chosen if not word.startswith(f"{where}="))
            for value in HUGE:
                yield Wrong((*words, f"{where}={value}", "dry_run=true"), may_hold=True)


def combined() -> Iterator[Wrong]:
    """Yield every experiment type with every data set, model and feature, fitting or not."""
    for option in catalogue.options("experiment"):
        own = (f"experiment={option.name}", *_required(option.load(), "experiment"))
        for group in ("data", "model", "feature", "slice", "constraints"):
            for other in catalogue.options(group):
                yield Wrong((*own, f"{group}={other.name}", "dry_run=true"), may_hold=True)
    for option in catalogue.options("experiment"):
        for factor in catalogue.options("factor"):
            own = _required(option.load(), "experiment")
            words = (f"experiment={option.name}", f"factor@experiment.factor={factor.name}")
            yield Wrong((*words, *own, "dry_run=true"), may_hold=True)


def about_files() -> Iterator[Wrong]:
    """Yield every field that names a file or folder, with files that are none of the kind."""
    for group, option, cls, place, base in _options():
        chosen = (*base, *_chooses(group, option), *_required(cls, place))
        for declared in dataclasses.fields(cls):
            if declared.init and declared.metadata.get("file"):
                where = f"{place}.{declared.name}"
                words = tuple(word for word in chosen if not word.startswith(f"{where}="))
                for file in FILES:
                    yield Wrong((*words, f"{where}={_named(file)}", "dry_run=true"))


def about_stores() -> Iterator[Wrong]:
    """Yield every verb, and a run, with stores that are none."""
    for store in STORES:
        folder = f"tracking.folder={_named(store)}"
        for verb in verbs():
            yield Wrong((*_called(verb), folder), may_hold=True)
        for multirun in (False, True):
            words = (*BUILDS, "feature=threshold", "seed=1,2" if multirun else "seed=1", folder, "dry_run=true")
            yield Wrong(words, multirun=multirun, may_hold=store in ("nowhere", "empty_database"))
        yield Wrong(("experiment=subspace_ablation", "model=tracked", folder))
        yield Wrong(("experiment=compare_interventions", folder))
        yield Wrong(("experiment=compare", folder))


def about_servers() -> Iterator[Wrong]:
    """Yield every verb, and a run, with servers that are none."""
    for uri in ("http://127.0.0.1:9", "http://no.such.host.invalid:5000", "http://", "ftp://x",
                "http://127.0.0.1:99999",
                "postgresql://127.0.0.1:9/x", "sqlite:///nowhere/x.db", "mlruns", "file:///tmp", "http://[::1",
                "''"):  # fmt: skip
        server = ("tracking=server", f"tracking.uri={uri}")
        for verb in verbs():
            asks_nothing = verb in ("doctor", "list", "spec", "sync", "verify", "ui", "gallery")
            yield Wrong((*_called(verb), *server), may_hold=asks_nothing)
        yield Wrong((*BUILDS, "feature=threshold", *server, "dry_run=true"))
        yield Wrong(("experiment=subspace_ablation", "model=tracked", *server))
        yield Wrong(("experiment=compare_interventions", *server))


def about_verbs() -> Iterator[Wrong]:
    """Yield every verb with words that it does not take."""
    for verb in verbs():
        for words in (("--nonsense",), ("a", "b", "c", "d"), ("no-such-run",), ("=",), ("",), ("--limit", "x"),
                      ("--port", "x"), ("--port", "99999999"), ("tracking=nope",), ("tracking.folder=[1]",),
                      ("--json", "--x"),
                      ("seed=1",), ("--config-dir", "nowhere"), ("--config-dir",),
                      ("--config-dir", "x" * 5000), ("--files", "x" * 5000), ("--files", "~nosuchuser/x"),
                      ("../../etc/passwd",), ("x" * 5000,),
                      ("\\",), ("'",), ("%",), ("tracking.experiment=''",), ("a\nb",), ("latest",),
                      ("é\u2028",)):  # fmt: skip
            yield Wrong((verb, *words), may_hold=True)


def about_words() -> Iterator[Wrong]:
    """Yield words of every kind that the grammar has, as values of every top key and as options of every group."""
    values = ("range(0,1,0)", "range(0,10,-1)", "range(0,1e18)", "range(1e9)", "range(0,1,1e-12)", "interval(0,1)",
              "glob(*)",
              "choice()", "choice(a,b)", "sort(b,a)", "shuffle(1,2)", "tag(x,1)", "str([])", "${x}",
              "${oc.env:HOMELESS}",
              "${oc.decode:'['}", "${now:%Y}", "${hydra:job.id}", "${seed}", "[", "{", "'", "\\", "a b", "null",
              "''", "1,2",
              "..", "/etc/passwd", "../x", "%", "é", "x" * 3000, "1e999", "0x10", "???", "a: b", "@x", "a@b", "-",
              "~")  # fmt: skip
    keys = ("seed", "checkpoint", "reuse", "dry_run", "workers", "sweep.retry", "sweep.equal_errors",
            "figures.formats",
            "experiment", "data", "model", "study", "feature", "device", "hydra.run.dir", "hydra.sweep.dir",
            "hydra/launcher",
            "hydra.launcher.n", "hydra.job.chdir", "hydra.mode", "hydra.searchpath",
            "hydra.output_subdir")  # fmt: skip
    for key in keys:
        for value in values:
            for multirun in (False, True):
                base = () if key in ("experiment", "study") else (IMAGES,)
                word = f"{key}={value}"
                yield Wrong((*base, word, "dry_run=true"), multirun=multirun, may_hold=True)
    for sign in ("+", "++", "~", "+++", "=", "@", ":"):
        for group in catalogue.groups():
            option = catalogue.options(group)[0].name if catalogue.options(group) else "x"
            yield Wrong((IMAGES, f"{sign}{group}={option}", "dry_run=true"), may_hold=True)
            yield Wrong((f"{sign}{group}", IMAGES, "dry_run=true"), may_hold=True)


def shown() -> Iterator[Wrong]:
    """Yield Hydra's own flags that show something, with and without what they need."""
    for flag in ("--cfg", "--cfg=job", "--cfg=hydra", "--cfg=all", "--cfg=nonsense", "--info", "--info=all",
                 "--info=config",
                 "--info=defaults", "--info=defaults-tree", "--info=searchpath", "--info=plugins", "--info=nonsense",
                 "--hydra-help", "--resolve", "--package=x", "--shell-completion", "-sc", "--experimental-rerun=x",
                 "--config-path=x", "--config-name=x", "-cn", "-cd", "-cp", "-p", "-c", "-m", "--run"):  # fmt: skip
        for words in ((), (IMAGES,), ("experiment=nope",), (IMAGES, "foo=1"), (IMAGES, "seed=["), (IMAGES, "seed=1,2")):
            yield Wrong((flag, *words, "dry_run=true") if words else (flag,), may_hold=True)


GENERATORS = {
    "fields": typed, "extreme numbers": extreme, "combinations": combined, "files": about_files,
    "stores": about_stores,
    "servers": about_servers, "verbs": about_verbs, "words": about_words, "shown": shown,
}  # fmt: skip


def _named(file: str) -> str:
    return file if file.startswith(("/", "~")) else f"{{files}}/{file}"


def _options() -> Iterator[tuple[str, str, type[Spec], str, tuple[str, ...]]]:
    """Yield group, option, class, place in the configuration and what else is to be said, of every shipped option."""
    for group, base in BASES.items():
        for option in catalogue.options(group):
            cls = option.load() if option.target else None
            if isinstance(cls, type) and issubclass(cls, Spec):
                yield group, option.name, cls, "experiment.factor" if group == "factor" else group, base


def _chooses(group: str, option: str) -> tuple[str, ...]:
    return (f"factor@experiment.factor={option}",) if group == "factor" else (f"{group}={option}",)


def _required(cls: Any, place: str) -> tuple[str, ...]:
    """Return words that give every required field of a class something of its type."""
    if not (isinstance(cls, type) and issubclass(cls, Spec)):
        return ()
    hints = typing.get_type_hints(cls)
    needed = {"ood_domain", "val_domain"} & set(hints)
    missing = (dataclasses.MISSING, dataclasses.MISSING)
    found = [f for f in dataclasses.fields(cls) if f.name in needed or (f.default, f.default_factory) == missing]
    return tuple(f"{place}.{f.name}={_something(hints[f.name], f.metadata)}" for f in found)


def _something(hint: Any, metadata: Any) -> str:
    if metadata.get("choices"):
        return str(metadata["choices"][0])
    return {"int": "3", "float": "1.0", "bool": "true", "list": "[]", "dict": "{}"}.get(
        (*_kinds(hint), "str")[0], "SCU"
    )


def _kinds(hint: Any) -> tuple[str, ...]:
    """Return the plain types that a field may have, by name."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(kind for arm in typing.get_args(hint) for kind in _kinds(arm))
    plain = typing.get_origin(hint) or hint
    name = getattr(plain, "__name__", "")
    return (name,) if name in (*TYPED, "NoneType") else ()


def _bad(hint: Any, metadata: Any) -> Iterator[str]:
    """Yield values, as written, that a field cannot hold."""
    kinds = _kinds(hint)
    if len([kind for kind in kinds if kind != "NoneType"]) == 1:
        yield from TYPED[next(kind for kind in kinds if kind != "NoneType")]
        if "NoneType" not in kinds:
            yield "null"
    number = {"int", "float"} & set(kinds)
    if number and metadata.get("low") is not None:
        yield f"{metadata['low'] - 1:g}"
    if number and metadata.get("high") is not None:
        yield f"{metadata['high'] + 1:g}"
    if number and metadata.get("above") is not None:
        yield f"{metadata['above']:g}"
    if number and metadata.get("below") is not None:
        yield f"{metadata['below']:g}"
    if metadata.get("choices"):
        yield "no_such_choice"


def _called(verb: str) -> tuple[str, ...]:
    """Return a verb with the words that it needs."""
    return {
        "show": ("show", "0123"), "figures": ("figures", "0123", "out"), "spec": ("spec", "{files}/text.pt"),
        "plan": ("plan", *BUILDS, "feature=threshold"), "reproduce": ("reproduce", "0123"),
        "diff": ("diff", "0123", "4567"),
        "verify": ("verify", "0123"), "gallery": ("gallery", "out"), "ui": ("ui", "--port", "1"),
    }.get(verb, (verb,))  # fmt: skip
