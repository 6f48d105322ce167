"""The node's CoAP exchanges and its door through loss, duplicates and delay, in jumping time."""

import asyncio
from typing import Any

import pytest
from aiocoap import CHANGED, Message
from coap_fleet import UNAUTHORIZED, Fleet
from coap_peer import DONE, Server, Weather, Wire, message, play
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import jumping
from node.errors import DeliverTimeout, LinkError
from node.link import coap_door
from node.wire import coap as wire_coap
from node.wire import receipt
from node.wire.coap import POST

SEEDS = st.integers(0, 1 << 32)


def anything(code: int, options: Any, payload: bytes) -> tuple[int, bytes]:
    return code, payload


def only(wanted: bytes) -> Any:
    """What binds an answer to its request, as OSCORE does."""
    return lambda code, options, payload: (code, payload) if payload == wanted else None


def street(
    seed: int, lost: float, twice: float, late_s: float, deadline_s: int, bound: bool
) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Twelve asks in a row: how many were answered, and (asked, taken) of what was not its own."""
    wrong: list[tuple[bytes, bytes]] = []
    answered = 0

    async def case(wire: Wire, coap: Any) -> None:
        nonlocal answered
        server = Server(wire, Weather(seed, lost, twice, late_s), lambda r: (DONE, (), r[2]))
        loop = asyncio.get_running_loop()
        for n in range(12):
            mine = b"%d" % n
            begun = loop.time()
            accept = only(mine) if bound else anything
            try:
                got = await coap.ask(POST, (), mine, accept, deadline_s * 1000)
            except DeliverTimeout:
                assert loop.time() - begun == pytest.approx(deadline_s, abs=0.1)
            else:
                answered += 1
                if got[1] != mine:
                    wrong.append((mine, got[1]))
        server.stop()

    play(case)
    return answered, wrong


@given(
    SEEDS,
    st.floats(0, 0.6),
    st.floats(0, 0.5),
    st.floats(0.2, 60),
    st.sampled_from([30, 180]),
)
@settings(max_examples=60, deadline=None)
def test_each_ask_ends_with_its_own_answer_or_with_none(
    seed: int, lost: float, twice: float, late_s: float, deadline_s: int
) -> None:
    answered, wrong = street(seed, lost, twice, late_s, deadline_s, bound=True)
    assert wrong == []
    if lost == 0 and deadline_s == 180:
        assert answered == 12


def test_sabotage_with_any_answer_taken_a_stale_one_is() -> None:
    assert any(street(seed, 0.3, 0.3, 60, 30, bound=False)[1] for seed in range(10))


class Street(Fleet):
    """A fleet behind weather, which commits what it opens and may forget its own answers."""

    def __init__(
        self, seed: int, lost: float, twice: float, late_s: float, forgets: float
    ) -> None:
        super().__init__(lambda _fleet, mid, request: self.commit(mid, request))
        self.weather = Weather(seed, lost, twice, late_s)
        self.forgets = forgets
        self.committed: list[bytes] = []
        self.answers: dict[bytes, bytes] = {}
        self.wire.peer = lambda data: self.weather.carry(self.taken_in, data)

    def taken_in(self, data: bytes) -> None:
        """A datagram that came through: a new one, a repeat, or one whose answer is forgotten."""
        if not data[1]:
            return
        if data not in self.raw:
            self.arrived(data)
        elif self.weather.chance.random() < self.forgets:  # as after a restart: a replay
            mid = int.from_bytes(data[2:4], "big")
            self.answers[data] = message(wire_coap.ACK, mid, UNAUTHORIZED)
        self.weather.carry(self.wire.feed, self.answers[data])

    def commit(self, mid: int, request: Message) -> None:
        self.committed.append(request.payload)
        self.answers[self.raw[-1]] = self.sealed(mid, Message(code=CHANGED))


def reports(fleet: Street, kind: Any = coap_door.CoapDoor) -> list[bytes]:
    """The reports of which a door got a receipt, of eight contacts with two each."""
    receipted: list[bytes] = []

    async def main() -> None:
        for contact in range(8):
            door = fleet.door(kind)
            await door.open()
            try:
                for n in (1, 2):
                    report = b"%d of %d" % (n, contact)
                    whole = receipt.encode(7, [(2 * contact + n, 2 * contact + n)])
                    assert await door.deliver(report, whole, 180_000, n == 2) == whole
                    receipted.append(report)
            except LinkError:
                pass
            await door.close()

    jumping(main)
    return receipted


@given(SEEDS, st.floats(0, 0.6), st.floats(0, 0.5), st.floats(0.2, 60), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_what_has_a_receipt_is_committed_and_no_number_is_used_twice(
    seed: int, lost: float, twice: float, late_s: float, forgets: float
) -> None:
    fleet = Street(seed, lost, twice, late_s, forgets)
    receipted = reports(fleet)
    assert set(receipted) <= set(fleet.committed)
    assert len(set(fleet.pivs)) == len(fleet.pivs)
    if lost == 0 and forgets == 0:
        assert len(receipted) == 16
