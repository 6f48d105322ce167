"""What the embedded broker sees of its clients, for the upkeep: clones, new certificates."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from fleet.broker.peer import Peer
from fleet.broker.watch import Origin
from fleet.clones.takeovers import Takeovers

T = TypeVar("T")
_KNOWN = 4096  # serials whose use is no news
_MOST = 1000  # of what waits for the upkeep


class Suspect(NamedTuple):
    """A client whose connections end each other, and the two places where they come from."""

    node_id: str
    one: str
    other: str


class SessionWatch:
    """A fleet.broker.watch.Watch: told in the broker's loop, emptied from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._takeovers = Takeovers()
        self._known: OrderedDict[int, None] = OrderedDict()
        self._suspects: deque[Suspect] = deque(maxlen=_MOST)
        self._serials: deque[int] = deque(maxlen=_MOST)

    def connected(self, peer: Peer) -> None:
        """As Watch's: a serial that was not seen of late may be a node's new one."""
        if peer.serial not in self._known:
            self._serials.append(peer.serial)
        self._known[peer.serial] = None
        self._known.move_to_end(peer.serial)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def taken_over(self, cn: str, winner: Origin, loser: Origin, loser_spoke: bool) -> None:
        """As Watch's."""
        if self._takeovers.taken(cn, winner, loser, loser_spoke, self._clock()):
            self._suspects.append(Suspect(cn, _said(winner), _said(loser)))

    def suspects(self) -> list[Suspect]:
        """Those since the last call."""
        return _emptied(self._suspects)

    def serials(self) -> list[int]:
        """Serials seen since the last call, and not of late before."""
        return _emptied(self._serials)

    def again(self, serials: list[int], suspects: list[Suspect]) -> None:
        """The database did not take these: they come with the next call."""
        self._serials.extend(serials)
        self._suspects.extend(suspects)


def _emptied(waiting: deque[T]) -> list[T]:
    found = []
    while waiting:
        found.append(waiting.popleft())
    return found


def _said(origin: Origin) -> str:
    return f"{origin.address} (…{origin.serial & 0xFFFFFF:06x})"
