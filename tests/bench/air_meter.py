"""What each contact of a virtual node costs on the air: a pace that reads the twin's ledger."""

import asyncio
import binascii
from typing import NamedTuple

from hil.virtual.modem.energy import ASLEEP, Usage
from hil.virtual.node import VirtualNode
from hil.virtual.pace import Clocked
from hil.virtual.scenes import SECOND

ASLEEP_US = 60 * SECOND  # behind a jump of deep sleep as long as this the radio is done


WEEK_S = 604_800  # the longest period of reports, which those that are measured have
NEAR_S = 300


class Contact(NamedTuple):
    """From one long sleep to the next: `stored` records got their receipt, `depth` wait."""

    up: int
    down: int
    mj: float  # without what sleep takes
    awake_s: float
    stored: int
    depth: int


class AirMeter:
    """A pace. The node stands still in deep sleep until `contacts` lets it go on."""

    def __init__(self) -> None:
        self.node: VirtualNode | None = None
        self._mark: Usage | None = None
        self._receipted = 0
        self._wanted = 0
        self._found: list[Contact] = []
        self._go = asyncio.Event()
        self._done = asyncio.Event()

    async def contacts(self, count: int, timeout_s: float) -> list[Contact]:
        """The next contacts; TimeoutError where they do not come within so many real seconds."""
        self._found, self._wanted = [], count
        self._done.clear()
        self._go.set()
        await asyncio.wait_for(self._done.wait(), timeout_s)
        return self._found

    async def before_jump(self, board: Clocked, until_us: int) -> None:
        """As Pace's."""
        if self.node is None or until_us - board.now_us < ASLEEP_US:
            return
        if self.node.board.state != "asleep":
            return
        self._note(self.node)
        while self._wanted <= 0:
            self._done.set()
            self._go.clear()
            await self._go.wait()

    def _note(self, node: VirtualNode) -> None:
        if (node.board.now_us // SECOND - binascii.crc32(node.node_id.encode())) % WEEK_S < NEAR_S:
            self._receipted = _receipted(node)
            self._mark = node.twin.ledger.mark()
            return  # the report that is due once a week, whatever waits for it
        ledger, mark = node.twin.ledger, self._mark
        self._mark = ledger.mark()
        used = ledger.since(mark) if mark is not None else Usage()
        if mark is not None and not used.up_octets:
            return
        receipted = _receipted(node)
        stored, self._receipted = receipted - self._receipted, receipted
        if mark is None:
            return
        mj = sum(mj for state, mj in used.mj_by_state.items() if state not in ASLEEP)
        self._found.append(
            Contact(
                used.up_octets, used.down_octets, mj, used.awake_s, stored, node.journal().depth
            )
        )
        self._wanted -= 1


def _receipted(node: VirtualNode) -> int:
    journal = node.journal()
    return journal.next_sequence - 1 - journal.depth
