"""The program's help, without slow imports."""

from __future__ import annotations

from paribus.cli import verb

_TEXT = """\
paribus: tracked causal experiments on trained networks

  paribus experiment=NAME [KEY=VALUE ...]     run one experiment
  paribus -m KEY=A,B 'seed=range(8)' ...      sweep: one job for each combination
  paribus study=NAME [KEY=VALUE ...]          run a study: several experiments on one model
  paribus VERB ...                            look around

Verbs (paribus VERB --help says more):
{verbs}

Groups: data, model, feature, slice, constraints, training, device, stats, tracking, experiment, study
  paribus list GROUP shows the options of a group, paribus list TYPE the variables of an experiment type.

Values outside the groups: seed=0  checkpoint=peak_val|final|epoch:N|all|peak_ood  reuse=auto|always|never
  dry_run=true validates a request completely and runs nothing.

Flags:
  -m, --multirun       sweep over choices (a,b) and ranges (range(3))
  --config-dir DIR     a folder with your own options (DIR/model/mine.yaml gives model=mine)
  --cfg job            print the composed configuration
  --hydra-help         what Hydra itself offers (launchers, output folders)
  --version, --help

Exit codes: 0 done; 1 an experiment failed; 2 the request was wrong; 130 interrupted."""


def text() -> str:
    """Return the help text."""
    found = verb.summaries()
    width = max(len(name) for name in found)
    return _TEXT.format(verbs="\n".join(f"  {name:<{width}}  {line}" for name, line in found.items()))
