"""What a Ray cluster has room for, and what is refused where Ray is not installed."""

from __future__ import annotations

import socket
import sys
import time
from types import SimpleNamespace

import pytest

from paribus.cli.main import main
from paribus.errors import ConfigError
from paribus.sweep.on_ray import asked, check, room


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": {name: float(amount) for name, amount in resources.items()}}


@pytest.mark.parametrize(
    ("remote", "places"),
    [
        ({}, 20),  # a processor each
        ({"num_cpus": 3}, 6),  # 5 on the node of 16, 1 on that of 4, and not 6.67
        ({"num_cpus": 17}, 0),  # on no node, though 20 processors are there
        ({"num_cpus": 1, "num_gpus": 1}, 2),
        ({"num_gpus": 0.1}, 16),  # 20 by GPU, 16 by processors
        ({"num_cpus": 0}, 20),
        ({"num_cpus": 1, "resources": {"disk": 2}}, 1),
        ({"memory": 2**33}, 2),
    ],
)
def test_a_job_is_placed_on_one_node_that_has_all_it_asks_for(remote, places):
    nodes = [node(CPU=16, GPU=2, memory=2**34), node(CPU=4, disk=3, memory=2**30), node(alive=False, CPU=64, GPU=8)]
    assert room(nodes, asked(remote)) == places


def test_without_ray_the_sweep_is_refused_and_leaves_nothing(workdir, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["experiment=family_1d_sweep", "experiment.family=SCU", "feature=threshold", "model=planted", "seed=0,1"]
    assert main(["-m", *words, "hydra/launcher=ray"]) == 2
    assert "Ray is not installed" in capsys.readouterr().err and not [*workdir.rglob("*")]


@pytest.fixture
def ray(monkeypatch):
    """As much of Ray as is asked before it is started."""
    made = SimpleNamespace(init=lambda address=None: None, remote=lambda **_: lambda run: run)
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return made


@pytest.mark.parametrize("form", ["{}", "ray://{}"])
@pytest.mark.parametrize("named_by", ["option", "environment"])
def test_an_address_at_which_nothing_answers_is_refused_at_once(ray, form, named_by, monkeypatch):
    """Ray tried for two minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = form.format(f"127.0.0.1:{server.getsockname()[1]}")
        init = {"address": address if named_by == "option" else "auto"}
        if named_by == "environment":
            monkeypatch.setenv("RAY_ADDRESS", address)
        assert check(init, {}) is ray
    began = time.monotonic()
    with pytest.raises(ConfigError, match=f"no cluster answers at {address} "):
        check(init, {})
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("address", [None, "auto", "local", "head-node", "other://x:1"])
def test_an_address_that_names_no_machine_is_left_to_ray(ray, address):
    assert check({"address": address}, {}) is ray


def test_a_port_that_is_none_is_refused(ray):
    with pytest.raises(ConfigError, match="head:637900 is no address"):
        check({"address": "head:637900"}, {})
