"""Battery nodes of the loss campaign: the firmware's journal, numbers and door, wake after wake.

A wake is that of node.cycle without sensors and modem: append, seal, deliver, trim by the receipt.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from coap_rig import Node as Enrolled
from node.errors import NodeError
from node.store.journal import Journal
from node.store.numbers import Numbers
from node.store.rtcstate import RtcState
from node.wire import receipt, report, uplink
from numbers_rig import PowerCut

from tests.bench import coap_board
from tests.bench.coap_air import Air, Weather
from tests.bench.coap_board import BOARD, Board
from tests.bench.coap_nonces import Nonces, Witness

coap_door = coap_board.fit()

# A hundredth of what the firmware waits on NB-IoT, of ACK_TIMEOUT and of its deadline alike.
HASTE = 100
coap_door.ACK_MS = tuple(ms // HASTE for ms in coap_door.ACK_MS)
RECEIPT_MS = coap_door.CoapDoor.RECEIPT_MS // HASTE
COVERAGE = (0,) * 16 + (1,) * 3 + (2,)  # enhancement levels of a town
REPORT_BYTES, REPORT_RECORDS = 900, 48  # node.cycle's
FLOW = 2  # quantity
CUT_S = 0.3  # a wake lasts about as long


class SavedAfterUse(Numbers):  # type: ignore[misc]
    """The sabotage: numbers are written down when the contact is over, not before their use."""

    _next: int
    _end: int

    def next(self) -> int:
        """As Numbers', but that nothing is reserved."""
        if self._next == self._end:
            held = self._held()
            self._next = self._limit() if held is None else held
            self._end = 1 << 31
        number = self._next
        self._next += 1
        return number

    def settle(self) -> None:
        """Now."""
        self._nvs.set_i32(self._name, self._next)
        self._nvs.commit()
        self._save(self._next)


@dataclass
class Sensed:
    """What became a record: value by its time, in s since 1970. A cut while a record was written
    leaves it stored or not, as `unsure`.
    """

    sure: dict[int, int] = field(default_factory=dict)
    unsure: dict[int, int] = field(default_factory=dict)


class Node:
    """One node; `sensed` is what it owes the fleet. `enrolled` has its id, kid and secret."""

    def __init__(self, enrolled: Enrolled, air: Air, witness: Witness, seed: int) -> None:
        self.node_id = enrolled.node_id
        self.sensed = Sensed()
        self.counts: Counter[str] = Counter()
        self.air = air
        self.depth = 0
        self._key = [enrolled.kid, enrolled.secret]
        self._board = Board(air.power)
        self._witness = witness
        self._random = random.Random(seed)
        self._writing: tuple[int, int] | None = None
        self._value = 0
        self._operations = 40  # of a wake, about

    async def wake(self, records: int) -> bool:
        """A wake that senses so many records; whether its report was receipted."""
        return await asyncio.create_task(self._awake(records))

    async def wake_cut(self, records: int) -> bool:
        """The same, and the power fails: at some operation, or at some time. It is on again."""
        power, draw = self._board.power, self._random
        task = asyncio.create_task(self._awake(records))
        delivered = False
        if draw.random() < 0.5:
            power.left = draw.randrange(self._operations)
            await asyncio.wait({task})
        else:
            await asyncio.wait({task}, timeout=draw.uniform(0, CUT_S))
            power.is_on = False
            task.cancel()
        try:
            delivered = await task
        except (PowerCut, asyncio.CancelledError):
            self.counts["cut awake"] += 1
        if self._writing is not None:
            self.counts["not sensed"] += 1
            self.sensed.unsure.update([self._writing])
            self._writing = None
        self._board.power_on(cold=draw.random() < 0.5)
        return delivered

    async def _awake(self, records: int) -> bool:
        BOARD.set(self._board)
        self._board.power.passed = 0
        state = RtcState(self._board.rtc)
        state.load()
        journal = Journal(epoch_source=lambda: self._random.getrandbits(32))
        for _ in range(records):
            self._sense(journal)
        rest = journal.oldest(REPORT_BYTES, REPORT_RECORDS)
        self.depth = len(rest)
        delivered = False
        if rest:
            delivered = await self._deliver(journal, rest, state)
        state.save()
        self._operations = self._board.power.passed + 1
        return delivered

    def _sense(self, journal: Any) -> None:
        self._value += 1
        self._writing = (self._value, int(time.time()))
        value, now = self._writing
        journal.append(uplink.encode_body(now, uplink.GOOD, [(FLOW, value)]))
        self.sensed.sure[value] = now
        self._writing = None

    async def _deliver(self, journal: Any, rest: list[tuple[int, bytes]], state: Any) -> bool:
        status = {uplink.DEPTH: journal.depth} if self._random.random() < 0.05 else {}
        raw = report.encode(journal.epoch, int(time.time()), rest, status)
        whole = receipt.encode(journal.epoch, _ranges([sequence for sequence, _ in rest]))
        config = {"host": "fleet", "port": 5683}
        door = coap_door.CoapDoor(self.air, config, self._key, state, self._coverage())
        self._witness.watch(door._context)
        answer = b""
        try:
            await door.open()
            answer = await door.deliver(raw, whole, RECEIPT_MS, True)
        except NodeError as e:
            self.counts[type(e).__name__] += 1
        await door.close()
        if not answer:
            return False
        got = receipt.decode(answer)
        self.depth -= journal.trim(got.epoch, got.ranges)
        return True

    def _coverage(self) -> int:
        return self._random.choice(COVERAGE)


def make(
    enrolled: Enrolled,
    server: tuple[str, int],
    address: str,
    weather: Weather,
    nonces: Nonces,
    seed: int,
) -> Node:
    """A node with its air and its witness, in the event loop that is running."""
    witness = Witness(nonces)
    return Node(enrolled, Air(server, address, weather, seed, witness.heard), witness, seed)


def sabotage() -> None:
    """From now on numbers are saved after their use."""
    coap_door.Numbers = SavedAfterUse


def _ranges(sequences: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for n in sequences:
        if found and found[-1][1] == n - 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found
