"""The UART of an AT engine under test: a stream whose far end is a function."""

import asyncio
from collections.abc import Callable

Answer = Callable[[bytes], bytes | None]


class Scripted:
    """A stream whose far end answers each write by `answer(written)`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.written = bytearray()
        self.pending = bytearray()
        self.arrived = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data
        self.push(self.answer(bytes(data)) or b"")

    def push(self, data: bytes) -> None:
        self.pending += data
        self.arrived.set()

    def later(self, seconds: float, data: bytes) -> None:
        asyncio.get_running_loop().call_later(seconds, self.push, data)

    async def drain(self) -> None:
        pass

    async def readinto(self, buffer: bytearray) -> int:
        while not self.pending:
            self.arrived.clear()
            await self.arrived.wait()
        n = min(len(buffer), len(self.pending))
        buffer[:n] = self.pending[:n]
        del self.pending[:n]
        return n
