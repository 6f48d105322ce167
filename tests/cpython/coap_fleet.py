"""A fleet at the other end of the node's CoAP door: aiocoap's OSCORE over coap_peer's wire."""

from collections.abc import Callable
from typing import Any

import esp32
from aiocoap import CHANGED, POST, Message
from aiocoap.oscore import ProtectionInvalid, ReplayError
from coap_peer import DONE, TICKS, Wire, message, mid_of
from node.link import coap_door
from node.store.rtcstate import RtcState
from node.wire import coap, receipt
from numbers_rig import Rtc
from oscore_peer import Peer

coap_door.time = TICKS
SECRET = bytes(range(16))
KID = b"\x0a\x0b\x0c"
WHOLE: bytes = receipt.encode(7, [(1, 3)])
REPORT = b"\x02report of three records"
WAIT_MS = 180_000
UNAUTHORIZED, UNAVAILABLE = 0x81, 0xA3


class Modem:
    """Its datagrams go to `wire`."""

    def __init__(self, wire: Wire, most: int = 1024) -> None:
        self.wire = wire
        self.MAX_DATAGRAM = most
        self.opened: list[tuple[str, int]] = []

    async def datagram(self, host: str, port: int, deadline_ms: int) -> Wire:
        """The wire."""
        self.opened.append((host, port))
        return self.wire


class Fleet:
    """Opens each new request once. `react(fleet, mid, request)` answers the first one, then the
    next one that `then` gave, the last again and again; without any, by an empty 2.04."""

    def __init__(self, *reacts: Callable[["Fleet", int, Message], None], most: int = 1024) -> None:
        esp32.flash = esp32.Flash()
        self.peer = Peer(SECRET, b"", KID, 100)
        self.wire = Wire(self.arrived)
        self.modem = Modem(self.wire, most)
        self.state = RtcState(Rtc())
        self.reacts = list(reacts) or [Fleet.done]
        self.requests: list[Message] = []  # what was inside
        self.raw: list[bytes] = []  # of which each came once
        self.pivs: list[bytes] = []
        self.taken: Any = None

    def door(self, kind: Any = coap_door.CoapDoor) -> Any:
        """The node's end, not open yet."""
        config = {"host": "fleet.example", "port": 5683}
        return kind(self.modem, config, [KID, SECRET], self.state, 0)

    def arrived(self, data: bytes) -> None:
        """A datagram of the node's."""
        _, code, mid, token, options, payload = coap.decode(data)
        if not code:
            return
        assert (code, token) == (POST, b"")
        assert [number for number, _ in options] == [coap.OSCORE]
        assert len(data) <= self.modem.MAX_DATAGRAM
        if data in self.raw:
            return
        option = options[0][1]
        try:
            request, self.taken = self.peer.unseal(POST, option, payload)
        except (ReplayError, ProtectionInvalid) as e:
            raise AssertionError("the node used a number twice") from e
        self.raw.append(data)
        self.requests.append(request)
        self.pivs.append(option[1 : 1 + (option[0] & 7)])
        react = self.reacts.pop(0) if len(self.reacts) > 1 else self.reacts[0]
        react(self, mid, request)

    def sealed(self, mid: int, answer: Message, own: bool = False, kind: int = coap.ACK) -> bytes:
        """The datagram of a protected answer to the newest request."""
        self.taken.can_reuse_nonce = not own
        option, cipher, _ = self.peer.seal(answer, self.taken)
        return message(kind, mid, DONE, cipher, ((coap.OSCORE, option),))

    def done(self, mid: int, _request: Message | None = None) -> None:
        """All is committed and nothing waits."""
        self.wire.feed(self.sealed(mid, Message(code=CHANGED)), 1)

    @property
    def mids(self) -> list[int]:
        """Of the requests."""
        return [mid_of(data) for data in self.raw]


def saying(payload: bytes, code: Any = CHANGED, **options: Any) -> Any:
    """A reaction: one protected answer."""

    def react(fleet: Fleet, mid: int, request: Message) -> None:
        answer = Message(code=code, payload=payload)
        for name, value in options.items():
            setattr(answer.opt, name, value)
        fleet.wire.feed(fleet.sealed(mid, answer, own="echo" in options), 1)

    return react


def plain(code: int, *, true_after_s: float | None = None, kind: int = coap.ACK) -> Any:
    """A reaction: an answer that nobody sealed; the fleet's own behind it, where it is told."""

    def react(fleet: Fleet, mid: int, request: Message) -> None:
        fleet.wire.feed(message(kind, mid, code, b"forged"), 0.5)
        if true_after_s is not None:
            fleet.wire.feed(fleet.sealed(mid, Message(code=CHANGED)), true_after_s)

    return react
