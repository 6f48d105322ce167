"""The door by CoAP and OSCORE: one datagram there and one back, for a node on a battery."""

import time

import esp32
from micropython import const

from node.config import NAMESPACE
from node.errors import CoapError, DeliverTimeout, OscoreError
from node.link.coap import ACK_MS, Coap
from node.link.oscore import Context
from node.modules import forget
from node.store.numbers import Numbers
from node.wire import coap, receipt

_SOCKET_MS = const(75_000)  # with the name's address, where that is not known yet
_FRAME = const(76)  # bytes around the report in its datagram: 40 of them an Echo option's
_AGAIN = const(2)  # times that the same is sealed once more
_ECHO_MOST = const(40)  # bytes: RFC 9175, 2.2.1
CHANGED = const(0x44)  # 2.04
_UNAUTHORIZED = const(0x81)  # 4.01
_RELEASE = const(2)  # Datagram.send: one answer, and then nothing


class CoapDoor:
    """`config`: host and port; `credentials`: [kid, secret]; `ecl` 0 to 2, None: unknown."""

    WINDOW = 16
    RECEIPT_MS = 180_000  # three tries where coverage is worst; the wake's cap holds above it

    def __init__(self, modem, config: dict, credentials: list, state, ecl=None) -> None:
        self._modem = modem
        self._config = config
        self._numbers = Numbers(state, esp32.NVS(NAMESPACE), credentials[0])
        self._context = Context(credentials[1], credentials[0], b"", self._numbers.next)
        self._ack_ms = ACK_MS[1 if ecl is None else ecl]
        self._socket = None
        self._coap = None
        self._request = (b"", b"")  # what the answer is bound to
        self._again = 0
        self._end = 0  # ticks by which the caller's deadline is over

    async def open(self) -> None:
        """A datagram socket; SocketError says why there is none."""
        c = self._config
        self._socket = await self._modem.datagram(c["host"], c["port"], _SOCKET_MS)
        self._coap = Coap(self._socket, self._ack_ms)

    async def deliver(self, report: bytes, whole: bytes, deadline_ms: int, last: bool) -> bytes:
        """The receipt for `report`: see node.link.door."""
        self._end = time.ticks_add(time.ticks_ms(), deadline_ms)
        release = _RELEASE if last else 0
        if len(report) <= self._modem.MAX_DATAGRAM - _FRAME:
            code, _, payload = await self._ask(coap.POST, (), report, release)
        else:
            from node.link import coapblocks

            code, _, payload = await coapblocks.upload(self._ask, report, self._block(), release)
        return self._receipt(code, payload, whole)

    async def poll(self, deadline_ms: int) -> bytes:
        """A receipt without ranges; its items are what the fleet has for the node."""
        self._end = time.ticks_add(time.ticks_ms(), deadline_ms)
        code, _, payload = await self._ask(coap.POST, (), b"", 0)
        return self._receipt(code, payload, receipt.encode(0, []))

    async def fetch(self, number: int, size: int, deadline_ms: int) -> bytes:
        """The payload of an item, of which the receipt told the size."""
        from node.link import coapblocks

        self._end = time.ticks_add(time.ticks_ms(), deadline_ms)
        path = (b"d", b"%d" % number)
        data = await coapblocks.download(self._ask, path, size, self._block())
        if len(data) != size:
            raise CoapError("item %d has %d bytes instead of %d" % (number, len(data), size))
        return data

    async def blocks(
        self, number: int, size: int, first: int, missing: bytes, take, deadline_ms: int
    ) -> int:
        """Some blocks of an update: see node.link.door."""
        from node.link import coapblocks

        self._end = time.ticks_add(time.ticks_ms(), deadline_ms)
        came = []

        def write(index: int, data: bytes) -> None:
            came.append(index)
            take(index, data)

        path = (b"u", b"%d" % number)
        try:
            return await coapblocks.pick(self._ask, path, size, first, missing, write)
        except DeliverTimeout:
            if came:
                return 0
            raise

    async def close(self) -> None:
        """Free the socket; the sequence goes on from here."""
        socket, self._socket = self._socket, None
        self._coap = None
        try:
            self._numbers.settle()
        except OscoreError:
            pass  # a few numbers are lost
        if socket is not None:
            await socket.close()
        forget("node.store.numbers")

    def _block(self) -> int:
        # The size of one block, which with its frame is one datagram of the modem's.
        return 512 if self._modem.MAX_DATAGRAM >= 512 + _FRAME else 256

    @property
    def BLOCK(self) -> int:  # noqa: N802  of every door
        """The size of a block that suits it."""
        return self._block()

    def _receipt(self, code: int, payload: bytes, whole: bytes) -> bytes:
        if code != CHANGED:
            raise answered(code)
        if not payload:  # that all of it is committed, and nothing waits
            return whole
        if not receipt.covers(payload, whole):
            raise CoapError("the answer is no receipt for what was sent")
        return payload

    async def _ask(self, code: int, options, payload: bytes, release: int):
        # One protected request, and what its protected answer says: code, options, payload.
        if self._coap is None:
            raise CoapError("the door is not open")
        extra = ()
        self._again = _AGAIN
        while True:
            option, cipher, self._request = self._context.seal(
                bytes((code,)) + coap.body(tuple(options) + extra, payload)
            )
            left = time.ticks_diff(self._end, time.ticks_ms())
            got = await self._coap.ask(
                coap.POST, ((coap.OSCORE, option),), cipher, self._open, left, release
            )
            if got[0] != _UNAUTHORIZED or not self._again:
                return got
            # The fleet has seen this number, or has forgotten which it saw and wants to know that
            # we are there now (RFC 9175, 2.3).
            self._again -= 1
            echo = coap.find(got[1], coap.ECHO)
            extra = ((coap.ECHO, echo),) if echo and len(echo) <= _ECHO_MOST else ()

    def _open(self, code: int, options, payload: bytes):
        # None for what the fleet has not sealed. Its refusals can be without, and so anybody's:
        # the first ones cost a number each, the last one does not keep the answer out.
        option = coap.find(options, coap.OSCORE)
        if option is None:
            if code == _UNAUTHORIZED and self._again:
                return code, (), b""
            if code >> 7 and self._coap:  # 4.xx, 5.xx; no other unsealed word counts at all
                self._coap.refusal = answered(code)
            return None
        try:
            plain = self._context.open(self._request, option, payload)
            options, payload = coap.decode_body(plain, 1)
        except (OscoreError, coap.CoapFormatError):
            return None
        if not coap.understood(options, (coap.BLOCK1, coap.BLOCK2)):
            return None
        return plain[0], options, payload


def answered(code: int) -> CoapError:
    """The error that a refusal by the fleet is."""
    return CoapError("the fleet answers %d.%02d" % (code >> 5, code & 31), code)
