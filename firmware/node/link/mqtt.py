"""An MQTT 3.1.1 client over any stream that has `readexactly` and `write`.

One task reads packets and routes them; every call waits for its own answer with a deadline of its
own. The numbers are those of OASIS mqtt-v3.1.1-os.
"""

import asyncio

from micropython import const

from node.errors import LinkError, MqttError

MAX_PACKET = 4096  # bytes, with the fixed header, either way
_CONNACK = const(2)
_PUBLISH = const(3)
_PUBACK = const(4)
_SUBACK = const(9)
_PINGRESP = const(13)
_ANSWER_MS = const(10_000)  # to send a PUBACK
# What a broker may send besides PUBLISH: type and length of the body. Flags are 0.
_FIXED = {_CONNACK: 2, _PUBACK: 2, _SUBACK: 3, _PINGRESP: 0}
_NAMES = {_CONNACK: "CONNACK", _PUBACK: "PUBACK", _SUBACK: "SUBACK", _PINGRESP: "PINGRESP"}


def text(value: str) -> bytes:
    """A string as the standard has it: two bytes of length, then UTF-8."""
    raw = value.encode()
    if len(raw) > 0xFFFF:
        raise MqttError("a string has at most 65,535 bytes")
    return len(raw).to_bytes(2, "big") + raw


def packet(head: int, *parts: bytes) -> bytes:
    """Fixed header `head` (type and flags), remaining length, and the parts behind them."""
    size = sum([len(part) for part in parts])
    length = bytearray()
    n = size
    while True:
        length.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            break
    if 1 + len(length) + size > MAX_PACKET:
        raise MqttError("a packet has at most %d bytes" % MAX_PACKET)
    return b"".join((bytes((head,)), bytes(length)) + parts)


class Mqtt:
    """One connection. It is lost with its first error, and `failure` says why.

    `on_message(topic: str, payload: bytes)` and `on_lost(error)` run in the reading task: they
    must not wait.
    """

    def __init__(self, stream, client_id: str, on_message=None, on_lost=None) -> None:
        self.failure: "LinkError | None" = None
        self._stream = stream
        self._client_id = client_id
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = None
        self._connected = False
        self._id = 0
        self._waiting = {}  # (packet type, packet id): [Event, the answer's body or None]

    async def connect(self, keepalive_s: int, clean: bool = True, deadline_ms: int = 30_000):
        """CONNECT; MqttError.cause is the CONNACK code where the broker refuses."""
        self._reader = asyncio.create_task(self._read())
        request = packet(
            0x10,
            b"\x00\x04MQTT\x04",
            b"\x02" if clean else b"\x00",
            keepalive_s.to_bytes(2, "big"),
            text(self._client_id),
        )
        flags, code = await self._ask(request, _CONNACK, 0, deadline_ms)
        if code:
            raise self._lose(MqttError("the broker refuses: CONNACK code %d" % code, code))
        if flags > 1 or (flags and clean):
            raise self._lose(MqttError("CONNACK with flags %d" % flags))

    async def subscribe(self, topic: str, qos: int, deadline_ms: int) -> None:
        """SUBSCRIBE to one filter, `qos` 0 or 1; MqttError.cause 128 where the broker refuses."""
        number = self._next_id()
        request = packet(0x82, number.to_bytes(2, "big"), text(topic), bytes((qos,)))
        granted = (await self._ask(request, _SUBACK, number, deadline_ms))[2]
        if granted > qos:
            raise MqttError("the broker refuses %s: SUBACK code %d" % (topic, granted), granted)

    async def publish(self, topic: str, payload: bytes, qos: int, deadline_ms: int) -> None:
        """PUBLISH; with `qos` 1 it returns when the broker has acknowledged, else when sent."""
        if qos == 0:
            await self._send(packet(0x30, text(topic), payload), deadline_ms)
            return
        number = self._next_id()
        request = packet(0x32, text(topic), number.to_bytes(2, "big"), payload)
        await self._ask(request, _PUBACK, number, deadline_ms)

    async def ping(self, deadline_ms: int) -> None:
        """PINGREQ, and its answer."""
        await self._ask(b"\xc0\x00", _PINGRESP, 0, deadline_ms)

    async def disconnect(self, deadline_ms: int) -> None:
        """DISCONNECT, so that the broker keeps nothing of us. The stream's owner closes it."""
        try:
            if self._connected:
                await self._send(b"\xe0\x00", deadline_ms)
        finally:
            self._lose(MqttError("disconnected"))
            if self._reader is not None:
                self._reader.cancel()

    def _next_id(self) -> int:
        self._id = self._id % 0xFFFF + 1
        return self._id

    async def _send(self, request: bytes, deadline_ms: int) -> None:
        if self.failure is not None:
            raise self.failure
        try:
            await asyncio.wait_for_ms(self._stream.write(request), deadline_ms)
        except asyncio.TimeoutError:
            raise self._lose(MqttError("not sent within %d ms" % deadline_ms))

    async def _ask(self, request: bytes, kind: int, number: int, deadline_ms: int) -> bytes:
        if self.failure is not None:
            raise self.failure
        key = (kind, number)
        if key in self._waiting:
            raise MqttError("a %s is awaited already" % _NAMES[kind])
        wait = self._waiting[key] = [asyncio.Event(), None]
        try:
            await asyncio.wait_for_ms(self._exchange(request, wait[0]), deadline_ms)
        except asyncio.TimeoutError:
            raise MqttError("no %s within %d ms" % (_NAMES[kind], deadline_ms))
        finally:
            del self._waiting[key]
        if wait[1] is None:
            raise self.failure or MqttError("no answer")
        return wait[1]

    async def _exchange(self, request: bytes, answered: asyncio.Event) -> None:
        await self._stream.write(request)
        await answered.wait()

    async def _read(self) -> None:
        # Waits as long as the broker is silent: the deadlines are with those who ask.
        try:
            while self.failure is None:
                head = (await self._stream.readexactly(1))[0]
                self._check(head)
                size = await self._length(_FIXED.get(head >> 4))
                await self._route(head, await self._stream.readexactly(size) if size else b"")
        except LinkError as e:  # those who wait raise it
            self._lose(e)
        except Exception as e:
            self._lose(MqttError("reading failed: %r" % e))

    def _check(self, head: int) -> None:
        kind = head >> 4
        if kind == _PUBLISH:
            expected = self._connected
        elif kind == _CONNACK:
            expected = not self._connected and not head & 15
        else:
            expected = self._connected and kind in _FIXED and not head & 15
        if not expected:
            raise MqttError("unexpected packet 0x%02x" % head)

    async def _length(self, fixed: "int | None") -> int:
        size = 0
        for shift in (0, 7, 14, 21):
            byte = (await self._stream.readexactly(1))[0]
            size |= (byte & 127) << shift
            if byte < 128:
                if size > MAX_PACKET - 2 - shift // 7:
                    raise MqttError("a packet of over %d bytes" % MAX_PACKET)
                if fixed is not None and size != fixed:
                    raise MqttError("a packet of %d bytes where %d belong" % (size, fixed))
                return size
        raise MqttError("malformed remaining length")

    async def _route(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == _PUBLISH:
            await self._on_publish(head, body)
            return
        if kind == _CONNACK:
            self._connected = body[1] == 0  # the next packet may be here already
        number = 0 if kind in (_CONNACK, _PINGRESP) else int.from_bytes(body[:2], "big")
        wait = self._waiting.get((kind, number))
        if wait is not None:  # else an answer to what has been given up
            wait[1] = body
            wait[0].set()

    async def _on_publish(self, head: int, body: bytes) -> None:
        qos = head >> 1 & 3
        at = 2 + int.from_bytes(body[:2], "big")
        end = at + (2 if qos else 0)
        if qos > 1 or len(body) < max(end, 3) or at == 2:
            raise MqttError("malformed PUBLISH of %d bytes" % len(body))
        try:
            topic = str(body[2:at], "utf-8")
        except (UnicodeError, ValueError):
            raise MqttError("a topic is not UTF-8")
        if self._on_message is not None:
            self._on_message(topic, bytes(body[end:]))
        if qos:
            await self._send(b"\x40\x02" + bytes(body[at:end]), _ANSWER_MS)

    def _lose(self, error: LinkError) -> LinkError:
        if self.failure is None:
            self.failure = error
            for wait in self._waiting.values():
                wait[0].set()
            if self._on_lost is not None:
                self._on_lost(error)
        return error
