"""The other end of an MQTT connection, scripted byte by byte, for tests on CPython."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import pytest
from node.errors import TlsError
from node.link.mqtt import Mqtt, packet, text

T = TypeVar("T")
LONG_MS = 2000
CONNACK = b"\x20\x02\x00\x00"


async def wait_for_ms(awaitable: Awaitable[T], ms: int) -> T:
    """What MicroPython's asyncio has beside wait_for."""
    async with asyncio.timeout(ms / 1000):  # wait_for of 3.11 can lose a cancellation
        return await awaitable


def like_micropython(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give CPython's asyncio what firmware uses of MicroPython's."""
    monkeypatch.setattr(asyncio, "wait_for_ms", wait_for_ms, raising=False)


class Peer:
    """A stream for Mqtt: `feed` is what the broker sends, `packets` what the client sent."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self._held = bytearray()
        self._ended = False
        self._changed = asyncio.Event()
        self._written = asyncio.Event()

    async def readexactly(self, n: int) -> bytearray:
        """As TlsStream: n bytes, TlsError at the end of the stream."""
        while len(self._held) < n:
            if self._ended:
                raise TlsError("the peer closed the connection")
            self._changed.clear()
            await self._changed.wait()
        data = self._held[:n]
        del self._held[:n]
        return data

    async def write(self, data: bytes) -> None:
        """Every write of the client is one packet."""
        self.packets.append(bytes(data))
        self._written.set()

    def feed(self, data: bytes) -> None:
        """The broker sends `data`."""
        self._held += data
        self._changed.set()

    def end(self) -> None:
        """The broker closes."""
        self._ended = True
        self._changed.set()

    async def sent(self, head: int) -> bytes:
        """The next packet of the client; its first byte must be `head`."""
        async with asyncio.timeout(60):
            while not self.packets:
                self._written.clear()
                await self._written.wait()
        packet = self.packets.pop(0)
        assert packet[0] == head, packet
        return packet


class Client:
    """A connected client, its peer, and what its callbacks got."""

    def __init__(self) -> None:
        self.peer = Peer()
        self.messages: list[tuple[str, bytes]] = []
        self.lost: list[Exception] = []
        self._told = asyncio.Event()
        self.mqtt = Mqtt(self.peer, "1gntj14d2p", self._message, self._lose)

    def _message(self, topic: str, payload: bytes) -> None:
        self.messages.append((topic, payload))

    def _lose(self, error: Exception) -> None:
        self.lost.append(error)
        self._told.set()

    async def connect(self) -> "Client":
        """Itself, once the broker has accepted."""
        self.peer.feed(CONNACK)
        await self.mqtt.connect(300, True, LONG_MS)
        await self.peer.sent(0x10)
        return self

    async def error(self) -> Exception:
        """What ended the connection."""
        await asyncio.wait_for(self._told.wait(), 60)
        return self.lost[0]


def publish(topic: str, payload: bytes, number: int = 0) -> bytes:
    """A PUBLISH; QoS 1 where `number` is a packet id."""
    ident = number.to_bytes(2, "big") if number else b""
    sent: bytes = packet(0x32 if number else 0x30, text(topic), ident, payload)
    return sent


def start(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """What runs while the test goes on."""
    return asyncio.get_running_loop().create_task(coroutine)
