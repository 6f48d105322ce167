"""Where a master station's frames meet the gateway whose line it reads.

A node that a command lets do so says that its session begins; until it says that it is over, or
its time is, frames go to it one by one and its answers come back. Who asks is a process on this
machine that can read `bus.json` in the data folder: it holds the port and a secret.
"""

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from fleet.identity.files import PRIVATE, write_atomic
from fleet.wire import cbor

ANSWER_S = 30.0  # there and back over the air, and the device's own time
LINE = 4096  # bytes of a request
SILENCE, NOT_ALLOWED = 0, 1  # as in firmware/node/passing.py

log = structlog.get_logger("bus")

Say = Callable[[str, bytes], None]


class _Session:
    """What one node has open: until when, and who waits for which answer."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.number = 0
        self.waiting: dict[int, asyncio.Future[bytes | int]] = {}

    def end(self) -> None:
        for future in self.waiting.values():
            if not future.done():
                future.cancel()


class BusDesk:
    """`file` is where the port and the secret are written while it is open."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._secret = secrets.token_hex(16)
        self._sessions: dict[str, _Session] = {}
        self._opened = asyncio.Condition()
        self._loop = asyncio.get_running_loop()
        self._say: Say = lambda _node, _payload: None
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None] | None] = set()

    async def start(self, say: Say) -> None:
        """Listen on the loopback; `say` sends a node its frame."""
        self._say = say
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LINE)
        port = self._server.sockets[0].getsockname()[1]
        told = json.dumps({"port": port, "secret": self._secret, "pid": os.getpid()})
        write_atomic(self._file, told.encode(), PRIVATE)

    async def stop(self) -> None:
        """Close, and end what is open."""
        self._file.unlink(missing_ok=True)
        if self._server is not None:
            self._server.close()
        for session in self._sessions.values():
            session.end()
        clients = [task for task in self._clients if task is not None]
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients)

    def heard(self, node_id: str, payload: bytes) -> None:
        """A node said something; from any thread."""
        self._loop.call_soon_threadsafe(self._heard, node_id, payload)

    def _heard(self, node_id: str, payload: bytes) -> None:
        try:
            flat: Any = cbor.decode(payload)
            number, said = flat
        except (cbor.CborError, TypeError, ValueError):
            return
        if type(number) is not int or type(said) not in (int, bytes):
            return
        if number == 0 and isinstance(said, int):
            self._begin_or_end(node_id, said)
            return
        session = self._sessions.get(node_id)
        future = session.waiting.pop(number, None) if session else None
        if future is not None and not future.done():
            future.set_result(said)

    def _begin_or_end(self, node_id: str, seconds: int) -> None:
        old = self._sessions.pop(node_id, None)
        if old is not None:
            old.end()
        if seconds <= 0:
            return
        self._sessions[node_id] = _Session(self._loop.time() + min(seconds, 3600))
        log.info("a master station may read", node=node_id, seconds=seconds)
        tell = asyncio.create_task(self._tell())
        tell.add_done_callback(lambda _: None)

    async def _tell(self) -> None:
        async with self._opened:
            self._opened.notify_all()

    def left(self, node_id: str) -> float:
        """Seconds that the node's session has left, 0 for none."""
        session = self._sessions.get(node_id)
        return max(0.0, session.until - self._loop.time()) if session else 0.0

    async def exchange(self, node_id: str, frame: bytes) -> bytes | int | None:
        """The answer to a frame, SILENCE or NOT_ALLOWED; None where no session is open."""
        left = self.left(node_id)
        if not left:
            return None
        session = self._sessions[node_id]
        session.number += 1
        future: asyncio.Future[bytes | int] = self._loop.create_future()
        session.waiting[session.number] = future
        self._say(node_id, cbor.encode([session.number, frame]))
        try:
            return await asyncio.wait_for(future, min(ANSWER_S, left))
        except TimeoutError:
            return SILENCE
        except asyncio.CancelledError:
            if future.cancelled():
                return None  # the session is over
            raise

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(asyncio.current_task())
        with contextlib.suppress(
            OSError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError
        ):  # cancelled by `stop` alone
            await self._talk(reader, writer)
        self._clients.discard(asyncio.current_task())
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = _object(await reader.readline())
        secret = str(first.get("secret", ""))
        if not secrets.compare_digest(secret.encode(), self._secret.encode()):
            return
        node_id, wait_s = str(first.get("node", "")), float(first.get("wait_s", 0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._opened:
                await self._opened.wait_for(lambda: self.left(node_id) > 0)
        await _write(writer, {"left_s": round(self.left(node_id))})
        while line := await reader.readline():
            frame = bytes.fromhex(str(_object(line).get("frame", "")))
            answer = await self.exchange(node_id, frame)
            told = {"answer": answer.hex()} if isinstance(answer, bytes) else {"why": answer}
            await _write(writer, {**told, "left_s": round(self.left(node_id))})


def _object(line: bytes) -> dict[str, Any]:
    """A line of JSON that is an object; ValueError for all else."""
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


async def _write(writer: asyncio.StreamWriter, value: object) -> None:
    writer.write(json.dumps(value).encode() + b"\n")
    await writer.drain()
