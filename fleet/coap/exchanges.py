"""aiocoap's message layer, bounded: a request is known by its bytes, and its answer by its bytes.

aiocoap tells requests apart by address, port and message ID alone, and answers by address, port
and token. Whoever guesses those could put a datagram of his own before a node's, and have the
node's taken for its repeat. Here two requests are the same only if all their bytes are.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from aiocoap import Message, interfaces
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.codes import EMPTY
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.types import Type

# A node at the edge of coverage repeats for minutes; RFC 7252's 247 s go with an ACK_TIMEOUT of 2.
REMEMBERED_S = 600.0
REMEMBERED = 65_536  # answers, about 30 MB. What is forgotten costs its node a second request
# Four repeats of RFC 7252 and some by the network: a datagram overheard fetches no more answers.
RESENT = 8


class Tuning(TransportTuning):  # type: ignore[misc]
    """No empty acknowledgement: release assistance lets the network end after one downlink."""

    EMPTY_ACK_DELAY = 60.0  # the site answers long before


TUNING = Tuning()


class Peer(interfaces.EndpointAddress):  # type: ignore[misc]
    """Where a request came from, and which one it was."""

    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    maximum_block_size_exp = 6
    uri_base = uri_base_local = hostinfo = hostinfo_local = ""

    __slots__ = ("key", "pktinfo", "sockaddr")

    def __init__(self, sockaddr: tuple[Any, ...], pktinfo: bytes | None, datagram: bytes) -> None:
        self.sockaddr = sockaddr
        self.pktinfo = pktinfo
        self.key = (sockaddr[0], sockaddr[1], hash(datagram))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Peer) and self.key == other.key

    def as_response_address(self) -> "Peer":
        """The same: nothing here is multicast."""
        return self

    @property
    def blockwise_key(self) -> Any:
        """Outer blocks are refused."""
        return self.key


class _Answer:
    __slots__ = ("raw", "resent", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.raw: bytes | None = None  # None: not yet
        self.resent = 0


class Recent:
    """Requests in work, and the protected answers of those that ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[Peer, _Answer] = OrderedDict()

    def is_new(self, peer: Peer) -> bool:
        """Whether this request was not met; from now on it was."""
        now = self._clock()
        found = self._answers.get(peer)
        if found is not None and now - found.since < REMEMBERED_S:
            return False
        self._answers[peer] = _Answer(now)
        self._answers.move_to_end(peer)
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return True

    def again(self, peer: Peer) -> bytes | None:
        """The answer to a repeated request, if there is one and it was not sent too often."""
        found = self._answers.get(peer)
        if found is None or found.raw is None or found.resent == RESENT:
            return None
        found.resent += 1
        return found.raw

    def answered(self, peer: Peer, raw: bytes) -> None:
        """Keep the answer."""
        found = self._answers.get(peer)
        if found is not None:
            found.raw = raw

    def forget(self, peer: Peer) -> None:
        """The request was not of a node, or may be made again."""
        self._answers.pop(peer, None)

    def __len__(self) -> int:
        return len(self._answers)


class Exchanges(MessageManager):  # type: ignore[misc]
    """One answer for each request: with the acknowledgement, or not confirmable itself."""

    def __init__(self, token_manager: Any) -> None:
        super().__init__(token_manager)
        self.recent = Recent()

    def _deduplicate_message(self, message: Message) -> bool:
        if self.recent.is_new(message.remote):
            return False
        raw = self.recent.again(message.remote)
        if raw is not None and message.mtype is Type.CON:
            self.message_interface.send_raw(raw, message.remote)
        return True

    def _store_response_for_duplicates(self, message: Message) -> None:
        """Kept by `_send_via_transport`, as bytes."""

    def send_message(self, message: Message, messageerror_monitor: Callable[[], None]) -> None:
        """As aiocoap's; the code EMPTY is the site's word for silence."""
        if message.code is not EMPTY:
            super().send_message(message, messageerror_monitor)
            return
        self.recent.forget(message.remote)
        waiting = self._piggyback_opportunities.pop((message.remote, message.token), None)
        if waiting is not None:
            waiting[1].cancel()

    def _send_via_transport(self, message: Message) -> None:
        raw = message.encode()
        if message.opt.oscore is None:
            self.recent.forget(message.remote)
        else:
            self.recent.answered(message.remote, raw)
        self.message_interface.send_raw(raw, message.remote)
