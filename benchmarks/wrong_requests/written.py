"""Wrong requests written by hand, each with what its answer must name."""

from __future__ import annotations

from benchmarks.wrong_requests.wrong import w

TRAIN = "experiment=train_classifier"
FOLDER = f"{TRAIN} data=image_folder data.ood_domain=e data.val_domain=d"
ARRAYS = f"{TRAIN} data=arrays data.ood_domain=3 data.val_domain=2"
ABLATE = "experiment=subspace_ablation"
SWEEP = "experiment=family_1d_sweep model=planted feature=threshold experiment.family=special_charge_up"

REQUESTS = {
    # the words themselves
    "nothing chosen": w("seed=1", "experiment: nothing is chosen", "valid: ablate,"),
    "no value": w(f"{TRAIN} seed", "seed: wants KEY=VALUE"),
    "no key": w(f"{TRAIN} =3", "=3"),
    "not the grammar": w(f"{TRAIN} seed=[1", "seed=[1: cannot be read"),
    "unknown verb": w("runz", "did you mean 'runs'"),
    "unknown flag": w(f"{TRAIN} --multirn", "did you mean '--multirun'"),
    "flag without its value": w(f"{TRAIN} --config-dir", "--config-dir"),
    "a flag of Hydra that is not used": w(f"{TRAIN} --config-name=other", "--config-name"),
    "config folder that is not there": w(f"{TRAIN} --config-dir nowhere", "nowhere", "no such folder"),
    # names of groups, options and keys
    "unknown experiment": w("experiment=domain_swp", "experiment=domain_swp", "did you mean 'domain_swap'"),
    "unknown study": w("study=shortcut_digit", "study=shortcut_digit", "did you mean 'shortcut_digits'"),
    "unknown data": w(f"{TRAIN} data=digit_scanners", "did you mean 'digits_scanners'"),
    "unknown model": w(f"{TRAIN} model=resnet", "did you mean 'resnet18'"),
    "unknown training condition": w(f"{TRAIN} training=groking", "did you mean 'grokking'"),
    "unknown device option": w(f"{TRAIN} device=gpu", "device=gpu", "cuda"),
    "unknown tracking option": w(f"{TRAIN} tracking=remote", "local, off, server"),
    "unknown launcher": w(f"{TRAIN} hydra/launcher=jobli", "hydra/launcher=jobli", "joblib"),
    "unknown group": w(f"{TRAIN} optimizer=adam", "optimizer: unknown key"),
    "unknown group with a package": w(f"{TRAIN} modl@model=mlp", "modl@model"),
    "unknown key": w(f"{TRAIN} training.epoch=3", "training.epoch: unknown key", "did you mean 'epochs'"),
    "unknown top key": w(f"{TRAIN} sed=3", "sed: unknown key", "did you mean 'seed'"),
    "key of a group that is empty": w(f"{TRAIN} feature.id=3", "no feature is chosen"),
    "unknown key of Hydra": w(f"{TRAIN} hydra.swep.dir=x", "hydra.swep", "sweep"),
    "key smuggled into a group": w(f"{TRAIN} +training.foo=1", "training.foo: unknown key"),
    "key forced into a group": w(f"{TRAIN} ++training.foo=1", "training.foo: unknown key"),
    "key smuggled in at the top": w(f"{TRAIN} +foo=1", "foo: unknown key"),
    "key smuggled into a model": w(f"{TRAIN} +model.depth=3", "model.depth: unknown key", "width"),
    "key taken out": w(f"{TRAIN} ~training.lr", "~training.lr: nothing can be taken out"),
    "group taken out": w(f"{TRAIN} ~training", "~training: nothing can be taken out"),
    "group chosen twice": w(f"{TRAIN} +model=mlp", "leave out the +"),
    "several options of a group": w(f"{TRAIN} model=[mlp,resnet18]", "one option"),
    "empty option": w(f"{TRAIN} model=null", "model=null", "small_cnn"),
    # types and ranges
    "text for a number": w(f"{TRAIN} training.lr=fast", "training.lr: wants a number, got 'fast'"),
    "fraction for a count": w(f"{TRAIN} training.epochs=2.5", "training.epochs: wants a whole number, got 2.5"),
    "truth for a count": w(f"{TRAIN} training.epochs=true", "training.epochs: wants a whole number"),
    "null for a count": w(f"{TRAIN} training.epochs=null", "training.epochs: wants a whole number, got null"),
    "list for a number": w(f"{TRAIN} training.lr=[0.1]", "training.lr: wants a number"),
    "nan": w(f"{TRAIN} training.lr=nan", "training.lr: must be a number, got nan"),
    "negative": w(f"{TRAIN} training.epochs=-3", "training.epochs: must be at least 1, got -3"),
    "zero where more is needed": w(f"{TRAIN} training.lr=0", "training.lr: must be more than 0"),
    "above its range": w(f"{TRAIN} data.strength=1.5", "data.strength: must be at most 1"),
    "percent for a fraction": w(f"{TRAIN} stats.confidence=95", "stats.confidence: must be less than 1"),
    "unknown choice": w(f"{TRAIN} stats.adjust=bonferoni", "stats.adjust: no such choice", "bh, holm"),
    "unknown dtype": w(f"{TRAIN} device.dtype=float8", "device.dtype: no such choice"),
    "negative seed": w(f"{TRAIN} seed=-1", "seed: must be at least 0"),
    "unknown checkpoint choice": w(f"{TRAIN} checkpoint=best", "checkpoint: no such choice 'best'", "peak_val"),
    "unknown reuse": w(f"{TRAIN} reuse=perhaps", "reuse: no such choice", "auto"),
    "dry_run that is no truth": w(f"{TRAIN} dry_run=perhaps", "dry_run: wants true or false"),
    "fields that contradict each other": w(f"{TRAIN} training.n_checkpoints=999", "training.n_checkpoints"),
    "a server without an address": w(f"{TRAIN} tracking=server tracking.uri=null", "tracking.uri: a server needs"),
    "a server address that is none": w(f"{TRAIN} tracking=server tracking.uri=mlruns", "tracking.uri"),
    "interpolation of nothing": w(f"{TRAIN} seed=${{nope}}", "seed: Interpolation key 'nope' not found"),
    "environment variable that is not set": w(f"{TRAIN} data.seed=${{oc.env:NOT_SET_XYZ}}", "NOT_SET_XYZ"),
    # targets
    "target of no module": w(f"{TRAIN} model._target_=nowhere.build", "there is no module 'nowhere'"),
    "target of no name": w(f"{TRAIN} model._target_=json.dmps", "did you mean 'dumps'"),
    "target that is no callable": w(f"{TRAIN} model._target_=json.decoder", "is no class or function"),
    "target that takes other arguments": w(f"{TRAIN} model._target_=os.path.join", "takes no such argument"),
    "experiment that is none": w(f"{TRAIN} experiment._target_=paribus.stats.spec.StatsSpec", "no experiment type"),
    # sweeps
    "sweep without -m": w(f"{TRAIN} seed=1,2", "seed=1,2: asks for several jobs", "-m"),
    "range without -m": w(f"{TRAIN} seed=range(3)", "asks for several jobs"),
    "sweep over nothing": w(f"{TRAIN} seed=range(0)", "over nothing", multirun=True),
    "sweep over an interval": w(f"{TRAIN} training.lr=interval(0,1)", "interval", multirun=True),
    "range of what is no number": w(f"{TRAIN} seed=range(a)", "cannot be read", multirun=True),
    "sweep over Hydra itself": w(f"{TRAIN} hydra.verbose=true,false", "cannot be swept over", multirun=True),
    "wrong only in the last job": w(f"{TRAIN} training.epochs=1,2,x", "job 3 of 3", multirun=True),
    "unknown option in the last job": w(f"{TRAIN} model=mlp,mpl", "did you mean 'mlp'", "job 2 of 2", multirun=True),
    # studies and nested experiments
    "study with another experiment": w(
        f"study=shortcut_digits {TRAIN}", "study=shortcut_digits runs experiment=sequence"
    ),
    "unknown key of a step": w("study=shortcut_digits experiment.steps.steering.alpha=[1]", "did you mean 'alphas'"),
    "smuggled key of a step": w("study=shortcut_digits +experiment.steps.train.foo=1", "steps.train.foo: unknown key"),
    "wrong type in a step": w("study=shortcut_digits experiment.steps.steering.alphas=x", "wants a list"),
    "step under its short name": w("study=shortcut_digits steps.steering.alphas=[1]", "set as experiment.steps"),
    "sequence of nothing": w("experiment=sequence", "experiment.steps"),
    # what only a look at files, devices and vocabularies can tell
    "missing image folder": w(f"{FOLDER} data.path=nowhere", "nowhere"),
    "missing arrays": w(f"{ARRAYS} data.path=nowhere.npz", "nowhere.npz"),
    "damaged arrays": w(f"{ARRAYS} data.path={{files}}/damaged.npz", "damaged.npz"),
    "arrays without labels": w(f"{ARRAYS} data.path={{files}}/unlabelled.npz", "labels"),
    "arrays of a single class": w(f"{ARRAYS} data.path={{files}}/one_class.npz", "class"),
    "missing Camelyon17 folder": w(f"{TRAIN} data=camelyon17 data.path=nowhere", "nowhere"),
    "images of a single class": w(f"{FOLDER} data.path={{files}}/one_class", "class"),
    "an empty domain": w(
        f"{FOLDER} data.train_domains=[a,b,c] data.path={{files}}/empty_domain",
        "'c'",
    ),
    "a corrupted image": w(f"{FOLDER} data.path={{files}}/corrupted", "broken.png"),
    "missing checkpoint": w(f"{ABLATE} model.weights=nowhere.pt", "nowhere.pt"),
    "checkpoint that is none": w(f"{ABLATE} model.weights={{files}}/text.pt", "text.pt"),
    "checkpoint of another architecture": w(f"{ABLATE} model.weights={{files}}/other.pt", "other.pt"),
    "checkpoint with code in it": w(f"{ABLATE} model.weights={{files}}/evil.pt", "evil.pt"),
    "unknown layer": w(f"{ABLATE} experiment.site=layer9 model.weights={{files}}/right.pt", "layer9"),
    "unknown run": w(f"{ABLATE} model=tracked model.run=0123456789abcdef", "no run to take a model from"),
    "no run to take the latest of": w(f"{ABLATE} model=tracked", "no run to take a model from"),
    "no feature for an experiment on one": w(
        SWEEP.replace(" feature=threshold", ""), "feature: family_1d_sweep needs one"
    ),
    "unknown feature": w(f"{SWEEP} feature=thresold", "did you mean 'threshold'"),
    "a required value that is missing": w(SWEEP.rsplit(" ", 1)[0], "experiment.family: a value is needed"),
    "unknown family": w(f"{SWEEP} experiment.family=special_charge", "did you mean 'special_charge_up'"),
    "rung outside the vocabulary": w(f"{SWEEP} experiment.rungs=[3,13]", "13"),
    "unknown constraint option": w(f"{SWEEP} constraints=strct", "did you mean 'strict'"),
    # what would hang, take all memory or break a library
    "range with a step of nothing": w(f"{TRAIN} seed=range(0,1,0)", "seed=range(0,1,0)", multirun=True),
    "more resamples than can be": w(f"{SWEEP} stats.n_bootstrap=1000000000000", "stats.n_bootstrap: must be at most"),
    "a server that does not answer": w(f"{TRAIN} tracking=server tracking.uri=http://127.0.0.1:9", "no answer"),
    "a file for a folder of runs": w(f"{TRAIN} tracking.folder={{files}}/text.pt", "runs cannot be kept here"),
    "a database that is none": w(f"{TRAIN} tracking.folder={{files}}/garbage", "not a readable database"),
    "an output folder under a file": w(
        f"{SWEEP} hydra.run.dir={{files}}/text.pt/x", "hydra.run.dir", "cannot be written"
    ),
    "a sweep's folder under a file": w(
        f"{SWEEP} seed=1,2 hydra.sweep.dir={{files}}/text.pt/x", "hydra.sweep.dir", "cannot be written", multirun=True
    ),
    "nothing to compare": w("experiment=compare_interventions", "there are no runs to compare yet"),
    "nothing to compare by a metric": w("experiment=compare", "there are no runs to compare yet"),
    "experiment with a plus": w("+experiment=train_classifier", "leave out the +"),
    "two experiments": w(f"{TRAIN} +experiment=domain_swap", "experiment is chosen twice"),
    "a factory that raises": w(
        f"--config-dir {{files}}/conf {TRAIN} model=raises", "runpy.run_path: raised FileNotFoundError", "nowhere.py"
    ),
    "a factory that ends the program": w(
        f"--config-dir {{files}}/conf {TRAIN} model=quits", "sys.exit: raised SystemExit"
    ),
    "a pipe for weights": w(f"{ABLATE} model.weights={{files}}/pipe.pt", "pipe.pt", "not a regular file"),
    "a pipe for arrays": w(f"{ARRAYS} data.path={{files}}/pipe.npz", "pipe.npz", "not a regular file"),
    "a device for arrays": w(f"{ARRAYS} data.path=/dev/zero", "/dev/zero"),
    "a pipe among images": w(f"{FOLDER} data.path={{files}}/piped", "0.png"),
    "arrays that claim more than they hold": w(f"{ARRAYS} data.path={{files}}/claims.npz", "images says", "holds"),
    "names that claim more than they hold": w(f"{ARRAYS} data.path={{files}}/names.npz", "labels says", "holds"),
    "more classes than can be": w(f"{ARRAYS} data.path={{files}}/classes.npz", "labels go up to 1099511627776"),
    "an image of many pixels": w(f"{FOLDER} data.path={{files}}/bomb", "bomb.png", "pixels, more than"),
    "percent outside its range": w(f"{SWEEP} slice.percentile_min=110", "slice.percentile_min"),
}
