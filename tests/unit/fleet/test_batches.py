"""The thread between the doors and the ingest: who is told what, and when."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleet.uplink import batches as module
from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Outcome
from fleet.uplink.message import Message

PATIENCE = 60.0


class Store:
    """Stands where the ingest would: commits, fails, or waits, as it is told."""

    def __init__(self) -> None:
        self.fails = False
        self.batches: list[list[int]] = []
        self.tries = 0
        self.held = threading.Event()
        self.held.set()

    def process(self, messages: list[Message]) -> list[Outcome]:
        """As the ingest's."""
        self.tries += 1
        assert self.held.wait(PATIENCE)
        if self.fails:
            raise OSError("database or disk is full")
        self.batches.append([m.received_us for m in messages])
        return [Outcome("stored", bytes([m.received_us])) for m in messages]


class Told:
    """What a door hears, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, str]] = []
        self._new = threading.Condition()

    def put(self, n: int, what: str) -> None:
        with self._new:
            self.heard.append((n, what))
            self._new.notify_all()

    def until(self, count: int) -> list[tuple[int, str]]:
        """The first `count` words, sorted."""
        with self._new:
            assert self._new.wait_for(lambda: len(self.heard) >= count, PATIENCE)
            return sorted(self.heard)


def of(n: int) -> Message:
    return Message("1gntj14d2p", b"", n)


class Door:
    """Submits and offers by number."""

    def __init__(self, batches: Batches) -> None:
        self.told = Told()
        self._batches = batches

    def submit(self, n: int) -> None:
        self._batches.submit(of(n), lambda outcome: self.told.put(n, outcome.kind))

    def offer(self, n: int) -> bool:
        return self._batches.offer(
            of(n),
            lambda outcome: self.told.put(n, outcome.kind),
            lambda: self.told.put(n, "failed"),
        )


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Batches]:
    monkeypatch.setattr(module, "RETRY_S", (0.02, 0.05))
    monkeypatch.setattr(module, "GATHER_S", 0.0)
    made = Batches(store)  # type: ignore[arg-type]
    made.start()
    yield made
    store.held.set()
    made.stop()


def until(true: Callable[[], Any]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_two_doors_share_a_batch(store: Store, batches: Batches) -> None:
    mqtt, coap = Door(batches), Door(batches)
    store.held.clear()
    mqtt.submit(0)
    until(lambda: store.tries == 1)
    for n in (1, 2, 3):
        mqtt.submit(n)
        assert coap.offer(10 + n)
    store.held.set()
    assert mqtt.told.until(4) == [(n, "stored") for n in (0, 1, 2, 3)]
    assert coap.told.until(3) == [(n, "stored") for n in (11, 12, 13)]
    assert store.batches == [[0], [1, 11, 2, 12, 3, 13]]


def test_while_the_database_fails_one_waits_and_the_other_is_told(
    store: Store, batches: Batches
) -> None:
    door = Door(batches)
    store.held.clear()
    store.fails = True
    door.submit(1)
    until(lambda: store.tries == 1)
    assert door.offer(2)
    door.submit(3)
    store.held.set()
    until(lambda: store.tries >= 3)
    assert not door.offer(4), "the database has just failed"
    store.fails = False
    assert (1, "stored") in door.told.until(1)
    told = dict(door.told.until(3))
    assert (told[1], told[3]) == ("stored", "stored")
    assert told[2] in {"failed", "stored"}  # it came before or behind the first failure
    until(lambda: door.offer(5))
    assert (5, "stored") in door.told.until(4)


def test_an_offer_alone_is_told_and_not_tried_again(store: Store, batches: Batches) -> None:
    door = Door(batches)
    store.fails = True
    assert door.offer(1)
    assert door.told.until(1) == [(1, "failed")]
    until(lambda: door.offer(2))  # the door opens again by itself, to try
    assert (2, "failed") in door.told.until(2)
    assert store.tries == 2


def test_a_full_queue_takes_no_offer_and_drops_no_submission(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE", 1)
    monkeypatch.setattr(module, "GATHER_S", 0.0)
    batches = Batches(store)  # type: ignore[arg-type]
    door = Door(batches)
    assert door.offer(1)
    assert not door.offer(2)
    waiting = threading.Thread(target=door.submit, args=(3,))
    waiting.start()
    until(lambda: batches.counts["queue full"] >= 2)
    batches.start()
    waiting.join(PATIENCE)
    assert door.told.until(2) == [(1, "stored"), (3, "stored")]
    batches.stop()


def test_who_cannot_be_told_keeps_nobody_else_from_it(store: Store, batches: Batches) -> None:
    def gone(_outcome: Outcome) -> None:
        raise RuntimeError("Event loop is closed")

    door = Door(batches)
    store.held.clear()
    door.submit(0)
    until(lambda: store.tries == 1)
    batches.submit(of(1), gone)
    door.submit(2)
    store.held.set()
    assert door.told.until(2) == [(0, "stored"), (2, "stored")]


def test_stopping_finishes_the_batch_and_leaves_the_queue(store: Store, batches: Batches) -> None:
    door = Door(batches)
    store.held.clear()
    door.submit(1)
    until(lambda: store.tries == 1)
    door.submit(2)
    stopping = threading.Thread(target=batches.stop)
    stopping.start()
    until(lambda: not door.offer(3))
    store.held.set()
    stopping.join(PATIENCE)
    assert door.told.heard == [(1, "stored")]


def test_stopping_does_not_wait_for_a_database_that_fails(store: Store, batches: Batches) -> None:
    door = Door(batches)
    store.fails = True
    door.submit(1)
    until(lambda: store.tries >= 2)
    began = time.monotonic()
    batches.stop()
    assert time.monotonic() - began < 30
    assert door.told.heard == []
