"""Reports in blocks (RFC 7959), each block a protected request of its own: put together here."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

MOST_BYTES = 8192  # of one report
ASSEMBLIES = 1024  # begun and not ended, of all nodes: 8 MB at worst
LIFETIME_S = 300.0  # RFC 7959, 2.5 leaves it to the server; EXCHANGE_LIFETIME is 247 s


class IncompleteError(ValueError):
    """Blocks before this one are missing: the node begins anew (4.08)."""


class TooLargeError(ValueError):
    """More than a report may have (4.13)."""


class Block(NamedTuple):
    """The value of a Block option: `size` in bytes, 16 to 1,024."""

    number: int
    more: bool
    size: int

    @property
    def start(self) -> int:
        """Where this block begins, in bytes."""
        return self.number * self.size


def read(value: bytes) -> Block:
    """A Block option; ValueError for one that RFC 7959, 2.2 does not know."""
    whole = int.from_bytes(value, "big")
    if len(value) > 3 or whole & 7 == 7:
        raise ValueError("a Block option of over 3 bytes, or of SZX 7")
    return Block(whole >> 4, bool(whole & 8), 16 << (whole & 7))


@dataclass
class _Assembly:
    data: bytes
    touched: float


class Assemblies:
    """What has come of each node's report, by the identifier of its context: one of each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: OrderedDict[int, _Assembly] = OrderedDict()

    def joined(self, context_id: int, block: Block, payload: bytes) -> bytes:
        """All blocks up to this one; nothing is kept. IncompleteError, TooLargeError."""
        data = self._before(context_id, block)
        if block.start + len(payload) > MOST_BYTES:
            raise TooLargeError
        if data is None or data[block.start :] not in (b"", payload):
            raise IncompleteError
        return data[: block.start] + payload

    def keep(self, context_id: int, data: bytes) -> None:
        """Wait for the next block behind `data`."""
        self._of[context_id] = _Assembly(data, self._clock())
        self._of.move_to_end(context_id)
        if len(self._of) > ASSEMBLIES:
            self._of.popitem(last=False)

    def drop(self, context_id: int) -> None:
        """The report is whole, or given up."""
        self._of.pop(context_id, None)

    def _before(self, context_id: int, block: Block) -> bytes | None:
        """What has come, up to the end of this block at most; None where something is missing."""
        if block.number == 0:
            return b""
        assembly = self._of.get(context_id)
        if assembly is None or self._clock() - assembly.touched > LIFETIME_S:
            return None
        # The last block may come again: what it was answered by may be lost.
        if len(assembly.data) < block.start:
            return None
        return assembly.data

    def __len__(self) -> int:
        return len(self._of)
