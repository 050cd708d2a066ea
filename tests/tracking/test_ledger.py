"""Claims kept in the store itself: one holder, takeover of the dead without a common clock, no second ledger."""

from __future__ import annotations

import os
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from mlflow import MlflowClient

from paribus.errors import ConfigError
from paribus.tracking import heartbeat, local, server
from paribus.tracking import ledger as ledgers
from paribus.tracking.ledger import CLAIMS, LedgerClaims, ledger, read_holder
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec
from paribus.tracking.store import MlflowStore

ONE, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def store(tracked_workdir) -> MlflowStore:
    """A store that is used as a server's is: through its client alone."""
    uri = local.database_uri(tracked_workdir)
    made = open_store(TrackingSpec(kind="server", uri=uri, experiment="ledgers", heartbeat_seconds=0.05))
    assert isinstance(made, MlflowStore)
    return made


def claims(store, every=30.0) -> LedgerClaims:
    """Return claims as another process has them."""
    return LedgerClaims(store.client, store.experiment_id(), every)


def params(store):
    return store.client.get_run(ledger(store.client, store.experiment_id())).data.params


def test_a_claim_has_one_holder_and_comes_free(store):
    mine, others = claims(store), claims(store)
    assert mine.take(ONE) and mine.take(ONE)
    assert not others.take(ONE) and others.take(OTHER)
    mine.release(ONE)
    assert not others.take(ONE)
    mine.release(ONE)
    assert others.take(ONE) and not mine.take(ONE)
    assert sorted(params(store)) == [f"{ONE}.0", f"{ONE}.0.end", f"{ONE}.1", f"{OTHER}.0"]


def test_a_ledger_is_written_param_by_param(store, monkeypatch):
    """MLflow reads all params of a run for each batch of some, and a ledger has thousands."""
    mine = claims(store)
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *args, **given: pytest.fail("a batch"))
    assert mine.take(ONE) and mine.is_ours(ONE)
    mine.release(ONE)
    assert f"{ONE}.0.end" in params(store)


def test_the_store_uses_it_and_shows_no_ledger(store):
    told = []
    with store.claim(ONE, lambda: told.append("never")):
        assert not claims(store).take(ONE)
        waiting = threading.Thread(target=lambda: store.claim(ONE, lambda: told.append("busy")).__enter__())
        waiting.start()
        while not told:
            time.sleep(0.01)
    waiting.join(10)
    assert told == ["busy"] and not waiting.is_alive()
    assert store.runs(everywhere=True) == [] and store.reap() == []


def test_the_claim_of_a_dead_process_of_this_host_is_taken_over_at_once(store, monkeypatch):
    dead = claims(store)
    assert dead.take(ONE)
    assert not claims(store).take(ONE), "it lives: it is this process"
    monkeypatch.setattr(ledgers, "process_alive", lambda pid, started: False)
    assert claims(store).take(ONE)
    holder = read_holder(params(store)[f"{ONE}.1"])
    assert holder is not None and holder.pid == os.getpid()


@pytest.mark.parametrize("apart", [-3600.0, 3600.0])
def test_on_other_hosts_silence_decides_by_the_watchers_own_clock(store, monkeypatch, apart):
    there = time.time
    monkeypatch.setattr(ledgers, "LEAST_SILENCE", 0.4)
    monkeypatch.setattr(ledgers, "MISSED_BEATS", 1)
    monkeypatch.setattr(ledgers, "here", lambda: "elsewhere")
    alive, dead = claims(store, every=0.05), claims(store, every=0.05)
    monkeypatch.setattr(time, "time", lambda: there() + apart)
    monkeypatch.setattr(dead, "_beat", lambda stopped: None)
    assert alive.take(ONE) and dead.take(OTHER)
    monkeypatch.setattr(ledgers, "here", lambda: "here")
    watcher = claims(store)
    assert not watcher.take(OTHER), "the first look says nothing about the time"
    end = time.monotonic() + 10
    while not watcher.take(OTHER) and time.monotonic() < end:
        assert not watcher.take(ONE)
        time.sleep(0.05)
    assert f"{OTHER}.1" in params(store) and f"{ONE}.1" not in params(store)
    alive.release(ONE)
    assert watcher.take(ONE)


@pytest.mark.parametrize("ending", [False, True])
def test_who_was_given_up_ends_nothing_and_who_is_ending_is_waited_for(store, monkeypatch, ending):
    """A machine that slept is not dead: either it ends its run, or the watcher takes over, and never both."""
    monkeypatch.setattr(ledgers, "LEAST_SILENCE", 0.05)
    monkeypatch.setattr(ledgers, "MISSED_BEATS", 0)
    monkeypatch.setattr(ledgers, "here", lambda: "elsewhere")
    slept = claims(store)
    assert slept.is_ours(ONE), "nothing is held: nothing was taken over"
    assert slept.take(ONE)
    assert not ending or slept.is_ours(ONE)
    monkeypatch.setattr(ledgers, "here", lambda: "here")
    watchers = [claims(store), claims(store)]
    looks = 0
    while not any(watcher.take(ONE) for watcher in watchers):
        looks += 1
        time.sleep(0.06)
    assert looks == (3 if ending else 1), "one look, and one more whole time for whoever is ending its run"
    assert slept.is_ours(ONE) is ending
    slept.release(ONE)
    assert not all(watcher.take(ONE) for watcher in watchers)


@pytest.fixture
def server_with_another_time():
    """A server whose clock is an hour ahead of ours."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def date_time_string(self, timestamp=None):
            return formatdate(time.time() + 3600, usegmt=True)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def test_signs_of_life_tell_the_servers_time(server_with_another_time, monkeypatch):
    """Each host tells its own time, and a run of one that is an hour off would be closed while it goes on."""
    clock = server.clock(server_with_another_time)
    assert abs(clock() - time.time() - 3600) < 5
    monkeypatch.setattr(heartbeat, "here", lambda: "elsewhere")
    mark = heartbeat.sign_of_life(30.0, clock)
    monkeypatch.setattr(heartbeat, "here", lambda: "here")
    assert not heartbeat.is_lost("x", mark, now=clock())
    assert heartbeat.is_lost("x", mark, now=clock() + 3600)
    assert server.clock("http://127.0.0.1:9") is time.time is server.clock("sqlite:///x")


def test_a_claim_whose_answer_was_lost_is_ours(store, monkeypatch):
    mine = claims(store)
    log_param = store.client.log_param

    def lost(*words):
        log_param(*words)
        raise ConnectionError("cut after it was done")

    monkeypatch.setattr(store.client, "log_param", lost)
    assert mine.take(ONE) and mine.is_ours(ONE), "the ledger is asked what it says now"
    monkeypatch.setattr(store.client, "log_param", log_param)
    assert not claims(store).take(ONE)


def test_a_claim_that_was_taken_as_the_server_went_away_is_ours_when_it_is_back(store, monkeypatch):
    """Neither the answer nor a look at the ledger came through: nobody else may have it, and we ask again."""
    mine = claims(store)
    log_param, ledger_id = store.client.log_param, ledger(store.client, store.experiment_id())

    def lost(*words):
        log_param(*words)
        raise ConnectionError("cut after it was done")

    def away(*words):
        raise ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(store.client, "log_param", lost)
        patch.setattr(store.client, "get_run", away)
        with pytest.raises(ConnectionError):
            mine.take(ONE)
    assert store.client.get_run(ledger_id).info.run_id == ledger_id and not claims(store).take(ONE)
    assert mine.take(ONE)
    mine.release(ONE)
    assert claims(store).take(ONE)


def test_there_is_one_ledger_whoever_makes_it(store, monkeypatch):
    """Another process makes the ledgers between our look and our own; ours is thrown away."""
    client, study = store.client, store.experiment_id()
    by_name, seen = client.get_experiment_by_name, []

    def late(name):
        found = by_name(name)
        if name == CLAIMS and not seen:
            seen.append(name)
            ledger(client, study)
        return found

    monkeypatch.setattr(client, "get_experiment_by_name", late)
    assert ledger(client, study) == ledger(client, study)
    named = [each.name for each in client.search_experiments() if each.name.startswith(CLAIMS)]
    assert named == [CLAIMS]
    client.delete_experiment(by_name(CLAIMS).experiment_id)
    with pytest.raises(ConfigError, match="restore it"):
        ledger(client, study)
