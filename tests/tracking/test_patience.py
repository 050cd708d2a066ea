"""A store that another process keeps locked is waited for, and nothing is done twice."""

from __future__ import annotations

import errno
import logging
import signal
import sqlite3
import time
from contextlib import closing

import pytest
from sqlalchemy import event

from paribus.errors import DataError
from paribus.running import failures
from paribus.running.holding import SignalsHeld
from paribus.tracking import health, local, patience
from paribus.tracking.opening import open_store
from paribus.tracking.spec import TrackingSpec


class Held:
    """The write lock of a database, held as by a process that was stopped while it wrote."""

    def __init__(self, database):
        self.connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)

    def take(self):
        self.connection.execute("begin exclusive")

    def give_back(self):
        self.connection.execute("rollback")


class Clock:
    """A clock that goes forward by what is slept; at a given moment something happens."""

    def __init__(self, at=None, happens=None):
        self.now, self.at, self.happens, self.slept = 0.0, at, happens, 0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept += 1
        if self.at is not None and self.now >= self.at:
            self.at = None
            self.happens()


def locked_read(database):
    with closing(patience.connect(database, wait=0.0)) as connection:
        return sqlite3.Connection.execute(connection, "select count(*) from t").fetchone()[0]


@pytest.fixture
def held(tmp_path):
    with closing(sqlite3.connect(tmp_path / "one.db")) as made, made:
        made.execute("create table t (x)")
    lock = Held(tmp_path / "one.db")
    lock.take()
    yield lock
    lock.connection.close()


def test_a_locked_store_is_waited_for_and_said_once(held, tmp_path, caplog):
    clock = Clock(at=300.0, happens=held.give_back)
    found = patience.patiently(lambda: locked_read(tmp_path / "one.db"), "one.db", clock=clock, sleep=clock.sleep)
    assert found == 0 and clock.slept > 1000
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "one.db is locked",
        "one.db is not locked any more",
    ]
    assert caplog.records[0].getMessage().endswith("waiting, for 600 s at most (Ctrl-C ends it)")


def test_a_file_system_without_locks_is_not_waited_for(held, tmp_path, monkeypatch):
    """What sqlite says then is what it says of a locked store."""

    def none(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(patience, "try_lock", none)
    clock, path = Clock(), tmp_path / "one.db"
    with pytest.raises(DataError, match=r"its file system has no locks \(No locks available\)"):
        patience.patiently(lambda: locked_read(path), str(path), clock=clock, sleep=clock.sleep)
    assert clock.slept == 0


def test_a_store_whose_locks_hang_is_told_while_it_hangs(held, tmp_path, monkeypatch, caplog):
    held.give_back()
    monkeypatch.setattr(patience, "SAID_AFTER", 0.05)
    with closing(patience.connect(tmp_path / "one.db")) as connection:
        connection.execute("select count(*) from t").fetchone()
        assert not caplog.records
        connection.create_function("hanging", 0, lambda: time.sleep(0.2))
        connection.execute("select hanging()").fetchone()
    (said,) = (record.getMessage() for record in caplog.records)
    assert "one.db has not answered for 0 s" in said and "Ctrl-\\ ends it" in said


def test_waiting_has_an_end_and_the_failure_is_one_of_the_store(held, tmp_path):
    clock = Clock()
    with pytest.raises(sqlite3.OperationalError, match="locked") as raised:
        patience.patiently(lambda: locked_read(tmp_path / "one.db"), "one.db", clock=clock, sleep=clock.sleep)
    assert clock.now == pytest.approx(patience.PATIENCE, abs=1) and failures.kind(raised.value) == failures.STORE
    clock = Clock()
    with patience.hurried(), pytest.raises(sqlite3.OperationalError):
        patience.patiently(lambda: locked_read(tmp_path / "one.db"), "one.db", clock=clock, sleep=clock.sleep)
    assert clock.now == pytest.approx(patience.HURRIED_SECONDS, abs=1)
    with pytest.raises(ZeroDivisionError):  # nothing else is tried twice
        patience.patiently(lambda: 1 // 0, "one.db", sleep=pytest.fail)


def test_a_signal_that_is_held_ends_the_wait(held, tmp_path):
    clock = Clock(at=50.0, happens=lambda: signal.raise_signal(signal.SIGINT))
    ended = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt), SignalsHeld():
            try:
                patience.patiently(lambda: locked_read(tmp_path / "one.db"), "one.db", clock=clock, sleep=clock.sleep)
            except sqlite3.OperationalError:
                ended.append(clock.now)
                raise
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [pytest.approx(50.0, abs=1.0)]


def test_doctor_names_a_locked_store_and_does_not_set_it_aside(tracked_workdir, monkeypatch):
    monkeypatch.setattr(patience, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(patience, "HURRIED_SECONDS", 0.0)
    lock = Held(tracked_workdir / local.DATABASE)
    lock.take()
    (found,) = health.look(TrackingSpec())
    lock.connection.close()
    assert "another process keeps it locked" in found.text and found.mend is None and not found.fine
    assert (tracked_workdir / local.DATABASE).exists() and local.moved(tracked_workdir) is None


def test_a_run_goes_through_a_store_that_is_locked_at_each_of_its_steps(tracked_workdir, monkeypatch):
    """As MLflow, whose own patience is made short; each step is done once."""
    monkeypatch.setattr(patience, "PAUSE", 0.01)
    monkeypatch.setattr(patience, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(patience, "SAID_AFTER", 0.0)
    store = open_store(TrackingSpec(experiment="locked"))
    engine = store.client._client._tracking_client.store.engine
    waits = set()

    def see(connection, cursor, statement, parameters, context, many):
        if "busy_timeout" in statement:
            waits.add(statement)

    event.listen(engine, "before_cursor_execute", see)
    lock = Held(tracked_workdir / local.DATABASE)
    said = []

    class GoesOn(logging.Handler):
        """The process that holds the lock goes on as soon as it is said that it is waited for."""

        def emit(self, record):
            if "is locked" in record.getMessage():
                said.append(record)
                lock.give_back()

    def while_locked(step):
        lock.take()
        before = len(said)
        try:
            return step()
        finally:
            assert len(said) == before + 1, "the step asked the store, found it locked, and said so once"

    goes_on = GoesOn()
    logging.getLogger("paribus").addHandler(goes_on)
    try:
        run = while_locked(lambda: store.start("one", folder=tracked_workdir / "out", tags={"identity": "a" * 32}))
        run.metric("loss", 0.5, 1)
        while_locked(lambda: run.data_set("data", "d" * 8))
        while_locked(run.flush)
        while_locked(lambda: run.finish("FINISHED"))
        (found,) = while_locked(store.runs)
    finally:
        logging.getLogger("paribus").removeHandler(goes_on)
        event.remove(engine, "before_cursor_execute", see)
        lock.connection.close()
    assert waits == {"PRAGMA busy_timeout = 10;"}, "sqlite waits as long as we say, not as MLflow does"
    assert found.status == "FINISHED" and found.metrics == {"loss": 0.5}
    assert [point.value for point in store.client.get_metric_history(run.run_id, "loss")] == [0.5]
