"""The bench's control socket: one JSON object a line, one answer a line."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fleet.errors import Refusal
from fleet.flashing.errors import BenchGone
from fleet.flashing.lines import ANSWER, LONGEST, request
from hil.virtual.bench.folder import BenchError, running

PATH_MOST = 107  # bytes of a Unix socket's path


class ControlError(Refusal, ValueError):
    """A request cannot be done; the text is one line, for whoever asked."""


Answer = Callable[[dict[str, Any]], dict[str, Any] | Awaitable[dict[str, Any]]]


class Control:
    """Serves `path`, readable by this user alone; `answer` raises ControlError to refuse."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen; BenchError where the path cannot be one of a socket."""
        if len(bytes(self._path)) > PATH_MOST:
            raise BenchError(f"{self._path} is too long for a socket: choose a shorter one")
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._reply(line)).encode() + b"\n")
                await writer.drain()
        except (ValueError, OSError):
            pass  # a line without end, or the other side has gone
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": "that is no JSON object on one line"}
        if not isinstance(asked, dict):
            return {"error": "that is no JSON object on one line"}
        try:
            found = self._answer(asked)
            return {"ok": True, **(found if isinstance(found, dict) else await found)}
        except (ControlError, Refusal) as e:
            return {"error": str(e)}


def ask(folder: Path, asked: dict[str, Any], patience_s: float = ANSWER) -> dict[str, Any]:
    """Ask the bench that runs on `folder`; BenchError where there is none, or it refuses, or it
    does not answer within `patience_s`.
    """
    control = running(folder)["control"]
    try:
        return request(control, asked, patience_s)
    except BenchGone as e:
        raise BenchError(str(e)) from None
