"""Firmware for modems, as they fetch it: by plain HTTP, since few of them know TLS and none has a
node's certificate. The maker's package guards itself, and its version is what counts in the end.

A process of its own: who asks here is known to nobody, and reaches nothing else of the fleet.
"""

import asyncio
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
import uvicorn
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from fleet.api.server import Server
from fleet.db.base import Database
from fleet.releases.tables import PROMOTED, Artifact, Release
from fleet.updates import http_range
from fleet.updates.http_range import RangeError
from fleet.wire import release

PREFIX = "/m/"
KNOWN_S = 30.0  # how long a promotion or a revocation may stay unseen
KEPT = 4  # packages in memory; one has up to some MB
CONNECTIONS = 256
_NAME = re.compile(r"/m/([0-9a-f]{16})")  # the first 8 bytes of the digest

log = structlog.get_logger("updates")


class Shelf:
    """The packages of promoted releases by name. Any thread."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._digests: dict[str, bytes] = {}
        self._seen_s = -KNOWN_S
        self._kept: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> bytes | None:
        """The bytes of a package, None where no release that may be offered has it."""
        with self._lock:
            if self._clock() - self._seen_s >= KNOWN_S:
                self._look()
            digest = self._digests.get(name)
            if digest is None:
                return None
            data = self._kept.pop(digest, None) or self._read(digest)
            if data is not None:
                self._kept[digest] = data  # the newest last
                while len(self._kept) > KEPT:
                    self._kept.pop(next(iter(self._kept)))
            return data

    def _look(self) -> None:
        with self._database.read() as session:
            manifests = session.scalars(select(Release.manifest).where(Release.state == PROMOTED))
            found = [
                each.digest
                for manifest in manifests
                for each in release.decode(manifest).components
                if each.kind == release.MODEM
            ]
        self._digests = {digest[:8].hex(): digest for digest in found}
        self._seen_s = self._clock()

    def _read(self, digest: bytes) -> bytes | None:
        with self._database.read() as session:
            return session.scalar(select(Artifact.data).where(Artifact.digest == digest))


def answer(shelf: Shelf, method: str, path: str, wanted: str) -> Response:
    """What is said to a request; `wanted` is its Range header, empty: none."""
    found = _NAME.fullmatch(path)
    if found is None:
        return Response(status_code=404)
    if method not in ("GET", "HEAD"):
        return Response(status_code=405, headers={"Allow": "GET, HEAD"})
    try:
        data = shelf.find(found[1])
    except SQLAlchemyError as e:
        log.error("a modem's firmware cannot be read", reason=repr(e)[:300])
        return Response(status_code=503, headers={"Retry-After": "60"})
    if data is None:
        return Response(status_code=404)
    head = {"Accept-Ranges": "bytes", "ETag": f'"{found[1]}"'}
    if not wanted:
        return Response(data, 200, head, media_type="application/octet-stream")
    try:
        first, length = http_range.read(wanted)
    except RangeError:
        return Response(status_code=400)
    piece = data[first : first + length]
    if not piece:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    head["Content-Range"] = f"bytes {first}-{first + len(piece) - 1}/{len(data)}"
    return Response(piece, 206, head, media_type="application/octet-stream")


async def serve(database: Database, sock: socket.socket, ready: Callable[[int], None]) -> None:
    """Serve on a listening socket until SIGTERM or SIGINT; `ready` gets the port."""
    server = Server(
        uvicorn.Config(
            application(Shelf(database)),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=5,
        )
    )

    def end() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    starting = asyncio.create_task(server.ready.wait())
    await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    if not serving.done():
        ready(sock.getsockname()[1])
    await serving


def application(shelf: Shelf) -> Callable[..., Any]:
    """The ASGI application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        said = await asyncio.to_thread(
            answer, shelf, request.method, request.url.path, request.headers.get("range", "")
        )
        await said(scope, receive, send)

    return app
