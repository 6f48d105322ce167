"""CoAP exchanges with one peer (RFC 7252): retransmission by coverage, answers of either kind.

Requests are serial, so their token is empty (5.3.1); whoever asks judges whether an answer is his.
"""

import asyncio
import os
import time

from micropython import const

from node.errors import CoapError, DeliverTimeout
from node.wire import coap

# ACK_TIMEOUT by coverage enhancement level: on NB-IoT an answer within 10 s is not certain even
# where coverage is good (sdk-nrf, pull request 2498).
ACK_MS = (15_000, 20_000, 40_000)
_MAX_RETRANSMIT = const(4)  # 4.8
_TAKEN_MOST = const(4)


class Coap:
    """`socket` has send(bytes, release) and recv() as Datagram; `ack_ms` is ACK_TIMEOUT."""

    def __init__(self, socket, ack_ms: int) -> None:
        self.sent = 0  # datagrams
        self.refusal: "CoapError | None" = None
        self._socket = socket
        self._ack_ms = ack_ms
        self._mid = int.from_bytes(os.urandom(2), "big")
        self._taken = []  # message ids of separate answers: a repeat is acknowledged, not judged

    async def ask(
        self, code: int, options, payload: bytes, accept, deadline_ms: int, release=0
    ) -> tuple:
        """Send a confirmable request; the tuple that `accept(code, options, payload)` makes of its
        answer.

        What it gives None for is no answer: somebody else's, or a forged one, and the wait goes
        on. DeliverTimeout when none came in time. Where `accept` has set `refusal`, that is raised
        instead, yet not before this transmission's time is over: the peer's own answer may be on
        its way behind what somebody forged. `release` is Datagram.send's.
        """
        self.refusal = None
        start = time.ticks_ms()
        mid = self._next_mid()
        request = coap.encode(coap.CON, code, mid, b"", options, payload)
        # ACK_RANDOM_FACTOR 1.5: a street that lost its cell does not repeat as one.
        wait = self._ack_ms + self._ack_ms * os.urandom(1)[0] // 512
        for _ in range(1 + _MAX_RETRANSMIT):
            await self._send(request, release)
            begun = time.ticks_ms()
            while True:
                now = time.ticks_ms()
                left = deadline_ms - time.ticks_diff(now, start)
                if wait or self.refusal:  # else the peer has it, and takes its time
                    left = min(left, (wait or self._ack_ms) - time.ticks_diff(now, begun))
                if left <= 0:  # asked here, since a flood would always have the next one ready
                    break
                try:
                    data = await asyncio.wait_for_ms(self._socket.recv(), left)
                except asyncio.TimeoutError:
                    break
                got = await self._judge(data, mid, accept)
                if got is None:
                    continue
                if got:
                    return got
                wait = 0
            if self.refusal or time.ticks_diff(time.ticks_ms(), start) >= deadline_ms:
                break
            wait *= 2
        raise self.refusal or DeliverTimeout("no answer within %d ms" % deadline_ms)

    async def tell(self, code: int, options, payload: bytes, release: int = 0) -> None:
        """A request that is not confirmable: it may be lost, and no answer is waited for."""
        mid = self._next_mid()
        await self._send(coap.encode(coap.NON, code, mid, b"", options, payload), release)

    async def _judge(self, data: bytes, mid: int, accept) -> "tuple | None":  # type: ignore[type-arg]
        # The answer; () where the peer has only acknowledged (5.2.2); None where it is neither.
        try:
            kind, code, number, token, options, payload = coap.decode(data)
        except coap.CoapFormatError:
            return None
        if kind == coap.RST:
            if number == mid:
                self.refusal = CoapError("the peer resets: it does not know what to do with this")
            return None
        if kind == coap.ACK:
            if number != mid:
                return None
            if not code:
                return ()
        got = None
        known = kind != coap.ACK and number in self._taken
        if not known and not token and code >> 5 in (2, 4, 5):
            got = accept(code, options, payload)
            if got is not None and kind != coap.ACK:
                self._taken = self._taken[1 - _TAKEN_MOST :] + [number]
                known = True
        if kind == coap.CON:
            await self._send(
                coap.encode(coap.ACK if known else coap.RST, coap.EMPTY, number, b"", (), b""), 0
            )
        return got

    async def _send(self, data: bytes, release: int) -> None:
        self.sent += 1
        await self._socket.send(data, release)

    def _next_mid(self) -> int:
        # 65,536 of them outlast EXCHANGE_LIFETIME by far: a wake asks a few times.
        self._mid = self._mid + 1 & 0xFFFF
        return self._mid
