"""No node that reconnects, is wiped or repeats itself is taken for two: 100,000 contacts."""

import random
from collections import Counter

import pytest

from fleet.broker.watch import Origin
from fleet.clones.epochs import Epochs
from fleet.clones.takeovers import QUICK_S, Takeovers
from fleet.clones.window import Window, digest

CONTACTS = 100_000
SEED = 20261125
SERIAL = 0xC0FFEE


class Network:
    """Where a node seems to come from: a carrier's NAT has few addresses and changes its mind."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._pool = [f"100.64.0.{chance.randrange(256)}" for _ in range(chance.choice((1, 2, 5)))]

    def address(self) -> str:
        return self._chance.choice(self._pool)


def ordinary(chance: random.Random, contacts: int, takeovers: Takeovers) -> Counter[str]:
    """One node by the firmware's rules: 60 s after a failed contact, doubling; after a crash too.

    Most links are lost without a word, so that the broker holds half-open sessions.
    """
    seen: Counter[str] = Counter()
    network, now, fails = Network(chance), chance.uniform(0, 1e6), 0
    node = f"node{chance.getrandbits(32)}"
    held: tuple[Origin, bool, float] | None = None  # the session that the broker holds
    bearers = chance.choice((1, 2))
    for _ in range(contacts):
        seen["contacts"] += 1
        failed = True
        for _bearer in range(bearers):
            origin = Origin(network.address(), SERIAL)
            if held is not None and now < held[2]:
                seen["takeovers"] += 1
                seen["flagged"] += takeovers.taken(node, origin, held[0], held[1], now)
            # The door opens; the next bearer is tried only when it does not.
            opens = chance.random() < 0.8
            spoke = opens and chance.random() < 0.8
            ends_well = spoke and chance.random() < 0.4
            held = None if ends_well else (origin, spoke, now + 450)  # 1.5 times the keep-alive
            now += chance.uniform(1, 40)
            failed = not ends_well
            if opens:
                break
        fails = min(fails + 1, 9) if failed else 0
        pause = 60 * 2 ** (fails - 1) * chance.uniform(1, 1.25) if fails else 900
        now += 60 if chance.random() < 0.2 else pause  # a crash, and the supervisor's sleep
    return seen


def duel(chance: random.Random, takeovers: Takeovers, pause_s: float) -> float | None:
    """Two devices that connect again whenever they are cut off; after how many s it shows."""
    origins = [Origin("198.51.100.7", SERIAL), Origin("203.0.113.9", SERIAL)]
    began = now = chance.uniform(0, 1e6)
    for turn in range(30):
        now += chance.uniform(0.5, 1.0) * pause_s
        if takeovers.taken("victim", origins[turn % 2], origins[1 - turn % 2], True, now):
            return now - began
    return None


def test_100000_ordinary_reconnects_raise_nothing() -> None:
    chance, takeovers = random.Random(SEED), Takeovers()
    seen: Counter[str] = Counter()
    for _ in range(CONTACTS // 200):
        seen += ordinary(chance, 200, takeovers)
    print(dict(seen))
    assert seen["contacts"] == CONTACTS
    assert seen["takeovers"] > CONTACTS // 4
    assert seen["flagged"] == 0
    assert len(takeovers) <= 4096


def test_sabotage_without_the_time_it_takes_they_do() -> None:
    chance, takeovers = random.Random(SEED), Takeovers(quick_s=1e9)
    seen: Counter[str] = Counter()
    for _ in range(CONTACTS // 200):
        seen += ordinary(chance, 200, takeovers)
    assert seen["flagged"] > 0


@pytest.mark.parametrize("pause_s", [1, 5, 15, QUICK_S])
def test_two_devices_that_end_each_other_show_every_time(pause_s: float) -> None:
    chance = random.Random(SEED)
    took = [duel(chance, Takeovers(), pause_s) for _ in range(200)]
    assert None not in took
    if pause_s <= 15:
        assert max(t for t in took if t is not None) <= 60


# --- journals --------------------------------------------------------------------------------


def life(chance: random.Random, contacts: int) -> Counter[str]:
    """Reports of one node: lost receipts, so repeats; wipes; one report that comes late."""
    seen: Counter[str] = Counter()
    epoch, sequence = chance.getrandbits(32), 0
    epochs, windows = Epochs(epoch), {epoch: Window(48)}
    stored: set[tuple[int, int]] = set()
    waiting: list[tuple[int, int, bytes]] = []
    late: list[tuple[int, int, bytes]] = []
    for _ in range(contacts):
        seen["contacts"] += 1
        for _ in range(chance.randrange(4)):
            sequence += 1
            waiting.append((epoch, sequence, chance.randbytes(8)))
        came = [waiting[:48]]
        if late and chance.random() < 0.5:
            came.insert(chance.randrange(2), late)
            late = []
        for report in came:
            for its_epoch, number, body in report:
                window = windows.setdefault(its_epoch, Window(48))
                window = windows[its_epoch] = Window(48, window.dump())  # as from the database
                seen["forked"] += window.differs(number, digest(body))
                window.note(number, digest(body))
                if (its_epoch, number) not in stored:
                    stored.add((its_epoch, number))
                    if its_epoch != epochs.epoch:
                        epochs = epochs.followed_by(its_epoch)
                        seen["flagged"] += epochs.are_of_two
        if chance.random() < 0.7:
            waiting = waiting[48:]
        if chance.random() < 0.01 and not late:  # wiped, a report still on its way
            late = waiting[:48]
            epoch, sequence, waiting = chance.getrandbits(32), 0, []
            seen["wipes"] += 1
    return seen


def test_100000_reports_of_ordinary_nodes_raise_nothing() -> None:
    chance = random.Random(SEED)
    seen: Counter[str] = Counter()
    for _ in range(CONTACTS // 1000):
        seen += life(chance, 1000)
    print(dict(seen))
    assert seen["contacts"] == CONTACTS
    assert seen["wipes"] > 100
    assert (seen["flagged"], seen["forked"]) == (0, 0)
