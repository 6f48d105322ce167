"""The AT parser that nearly everybody writes first, kept as a sabotage: each trap must catch it.

It cuts at line ends and waits for a line `OK` or `ERROR`. It knows no payload lengths, no results
behind OK, no swallowed first command, and does not look for the modem again after a timeout.
"""

import asyncio
from collections.abc import Callable

from at_stream import Scripted
from node.errors import AtError, AtTimeout

Handler = Callable[[str, bytes | None], object]
AT_MS = 500


class LineAt:
    """As node.link.at.At from outside. A prompt is a line like any other: one that never ends."""

    def __init__(self, uart: Scripted) -> None:
        self._uart = uart
        self._rest = b""
        self._handlers: list[tuple[str, Handler]] = []
        self._waiting: asyncio.Queue[str] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._said = asyncio.Event()

    def on_urc(
        self, prefix: str, handler: Handler, payload_length: object = None, commas: int = 0
    ) -> None:
        """`handler(line, None)`: what belongs to a line stands on it."""
        self._handlers.append((prefix, handler))

    async def command(
        self,
        text: str,
        deadline_ms: int,
        expect: str | None = None,
        until: tuple[str, ...] = ("OK",),
        data: bytes | None = None,
    ) -> list[str]:
        """Send a line, and the data when there is a line `>`; the lines up to `OK`."""
        async with self._lock:
            if self._reader is None:
                self._reader = asyncio.create_task(self._read())
            self._waiting = asyncio.Queue()
            try:
                async with asyncio.timeout(deadline_ms / 1000):
                    lines = await self._exchange(text, data)
            except TimeoutError:
                raise AtTimeout(f"{text}: not done in {deadline_ms} ms") from None
            finally:
                self._waiting = None
        return [line for line in lines if expect is None or line.startswith(expect)]

    async def sync(self, tries: int) -> None:
        """One AT: an awake modem answers it."""
        await self.command("AT", AT_MS)

    async def first_line(self) -> None:
        """Until anything was said, now or before."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        await self._said.wait()

    def interrupt(self) -> None:
        """A restart is a line like any other."""

    def hurry(self) -> None:
        """As `interrupt`."""

    def stop(self) -> None:
        """As At.stop."""
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _exchange(self, text: str, data: bytes | None) -> list[str]:
        assert self._waiting is not None
        self._uart.write(text.encode() + b"\r")
        if data is not None and await self._prompt():
            self._uart.write(data)
        lines = []
        while (line := await self._waiting.get()) != "OK":
            if line == "ERROR":
                raise AtError(f"{text}: error", 0)
            if line.startswith("+CME ERROR:"):
                raise AtError(f"{text}: error", int(line[11:]))
            lines.append(line)
        return lines

    async def _prompt(self) -> bool:
        assert self._waiting is not None
        while await self._waiting.get() != ">":
            pass
        return True

    async def _read(self) -> None:
        buffer = bytearray(256)
        while n := await self._uart.readinto(buffer):
            self._took(bytes(buffer[:n]))

    def _took(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for raw in lines:
            line = raw.strip().decode("latin-1")
            if line:
                self._on_line(line)

    def _on_line(self, line: str) -> None:
        self._said.set()
        for prefix, handler in self._handlers:
            if line.startswith(prefix):
                handler(line, None)
                return
        if self._waiting is not None:
            self._waiting.put_nowait(line)


class PromptAt(LineAt):
    """With the usual patch for the prompt: the data goes out once there is a `>` anywhere."""

    def __init__(self, uart: Scripted) -> None:
        super().__init__(uart)
        self._seen = asyncio.Event()
        self._asked = False  # there was a `>`, not an error

    async def _prompt(self) -> bool:
        self._seen.clear()
        await self._seen.wait()
        return self._asked

    def _took(self, data: bytes) -> None:
        if b">" in data or b"ERROR" in data:
            self._asked = b">" in data
            self._seen.set()
        super()._took(data)


class ChunkAt(PromptAt):
    """Takes what comes at once for a whole reply, or a whole URC, as a quiet bench suggests."""

    def _took(self, data: bytes) -> None:
        parts = [part for part in data.decode("latin-1").splitlines() if part.strip()]
        if parts and parts[-1] in ("OK", "ERROR"):
            for part in parts:
                self._on_line(part)
        else:
            self._on_line(data.decode("latin-1").strip())


def values(line: str) -> list[str]:
    """The fields of a reply as the manual of one family prints them: `+NAME: a,b`."""
    return line.split(": ")[1].split(",")


def stat(line: str) -> int:
    """<stat> of +CEREG, where the answer to the query has it."""
    return int(values(line)[1])


def carecv(line: str) -> tuple[int, bytes]:
    """(socket, data) of +CARECV as the manual prints it: <cid>,<length>,<data>."""
    number, _, data = line.split(": ")[1].split(",", 2)
    return int(number), data.encode("latin-1")
