"""What each wake of a virtual node takes: time by phase as the node's own ledger has it, the
modem's energy and octets by its twin, and the processor's work.

Virtual time stands still while the VM computes, so the ledger has none of that. The processor
time of the VM stands for it, in turns of a loop whose time is known on both (`turn_us`).
"""

import asyncio
import resource
import struct
from typing import Any, NamedTuple

from fleet.wire import cbor
from hil.virtual.modem.energy import ASLEEP, Usage
from hil.virtual.node import VirtualNode
from hil.virtual.pace import Clocked
from hil.virtual.scenes import SECOND

SLEEP_US = 30 * SECOND  # behind a jump of deep sleep as long as this, the radio is done
PHASES = ("boot", "sense", "attach", "send", "listen")  # as in firmware/node/power/energy.py
_WAKES, _CONTACTS = 8, 9
_STATE = "<2sBHI"  # as in firmware/node/store/rtcstate.py


class Wake(NamedTuple):
    """From one deep sleep to the next. `ms` by phase; None where the ledger began anew in it."""

    contacts: int
    ms: tuple[int, ...] | None
    cpu_us: int  # of the VM, its start included
    modem_mj: float  # without what sleep takes
    modem_s: float  # not asleep
    up: int
    down: int


def ledger(memory: bytes) -> list[int]:
    """The sums that a node keeps in RTC memory, empty where it keeps none."""
    if len(memory) <= struct.calcsize(_STATE):
        return []
    state: Any = cbor.decode(memory[struct.calcsize(_STATE) :])
    return list(state.get("ph") or [])


def children_us() -> int:
    """Processor time of all processes that have ended so far, microseconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1_000_000)


class WakeMeter:
    """A pace. The node stands still in deep sleep until `wakes` lets it go on."""

    def __init__(self) -> None:
        self.node: VirtualNode | None = None
        self._usage: Usage | None = None
        self._sums: list[int] = []
        self._cpu_us = 0
        self._found: list[Wake] = []
        self._until = 0  # contacts
        self._go = asyncio.Event()
        self._done = asyncio.Event()

    async def wakes(self, contacts: int, timeout_s: float) -> list[Wake]:
        """The next wakes, until so many of them were contacts; TimeoutError in real seconds."""
        self._found, self._until = [], contacts
        self._done.clear()
        self._go.set()
        await asyncio.wait_for(self._done.wait(), timeout_s)
        return self._found

    async def before_jump(self, board: Clocked, until_us: int) -> None:
        """As Pace's."""
        node = self.node
        if node is None or until_us - board.now_us < SLEEP_US or node.board.state != "asleep":
            return
        self._note(node)
        while sum(wake.contacts for wake in self._found) >= self._until:
            self._done.set()
            self._go.clear()
            await self._go.wait()

    def _note(self, node: VirtualNode) -> None:
        sums, cpu_us = ledger(node.board.rtc.memory), children_us()
        before, self._sums = self._sums, sums
        spent, self._cpu_us = cpu_us - self._cpu_us, cpu_us
        mark, self._usage = self._usage, node.twin.ledger.mark()
        if mark is None or not before or not sums:
            return
        used = node.twin.ledger.since(mark)
        mj = sum(mj for state, mj in used.mj_by_state.items() if state not in ASLEEP)
        anew = sums[_WAKES] <= before[_WAKES]
        if not anew and sums[_WAKES] - before[_WAKES] != 1:
            return  # two wakes with a short sleep between them
        ms = tuple(b - a for a, b in zip(before, sums, strict=True))[: len(PHASES)]
        self._found.append(
            Wake(
                1 if used.up_octets else 0, None if anew else ms, spent, mj, used.awake_s,
                used.up_octets, used.down_octets,
            )
        )  # fmt: skip
