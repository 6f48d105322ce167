"""The supervisor of `kapok coap`: workers on one port, each started again when it ends.

The sockets are the supervisor's (SO_REUSEPORT; the kernel gives each address and port to one of
them): what comes while a worker is being replaced waits in its socket.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import structlog

from fleet.coap import udp
from fleet.coap.worker import READY
from fleet.db import revision
from fleet.db.base import Database
from fleet.identity.wrapping import open_wrapper
from fleet.settings import Settings, SettingsError

MOST = 64  # workers
BACK_OFF_S = (0.5, 30.0)  # first and longest pause before a worker is started again
STEADY_S = 60.0  # a worker that lived so long is started again with the first pause
STOP_S = 15.0  # a worker answers what it has in work, 9 s at most

log = structlog.get_logger("coap")


async def run(settings: Settings, count: int, ready: Callable[[dict[str, Any]], None]) -> None:
    """Serve by `count` processes until SIGTERM or SIGINT; SettingsError in one line.

    `ready` is told host, port, workers and pid once all answer.
    """
    if settings.coap_port is None:
        raise SettingsError("coap.port is 'off': give a port by --port")
    if not 1 <= count <= MOST:
        raise SettingsError(f"--workers takes 1 to {MOST}, not {count}")
    with contextlib.closing(Database(settings.database_url)) as database:
        revision.check(database)
    open_wrapper(settings)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(sock) for sock in _bound(settings, count)]
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        workers = [_Worker(settings, sock) for sock in sockets]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        starting = asyncio.create_task(_all_ready(workers))
        stopping = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                ready(
                    {
                        "pid": os.getpid(),
                        "coap_host": settings.coap_host,
                        "coap_port": sockets[0].getsockname()[1],
                        "workers": count,
                    }
                )
            await stopping
        finally:
            for task in (starting, *tasks):
                task.cancel()
            await asyncio.gather(starting, *tasks, return_exceptions=True)


def _bound(settings: Settings, count: int) -> list[socket.socket]:
    """Sockets that share a port which nobody else has."""
    assert settings.coap_port is not None  # noqa: S101  # `run` refused that
    with udp.bind(settings.coap_host, settings.coap_port) as alone:  # fails if any other has it
        port = alone.getsockname()[1]
    return [udp.bind(settings.coap_host, port, socket.SO_REUSEPORT) for _ in range(count)]


async def _all_ready(workers: "list[_Worker]") -> None:
    for worker in workers:
        await worker.ready.wait()


class _Worker:
    """One socket, and whichever process serves it."""

    def __init__(self, settings: Settings, sock: socket.socket) -> None:
        self._settings = settings
        self._sock = sock
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Start it, again and again; ended by cancelling."""
        loop = asyncio.get_running_loop()
        pause = BACK_OFF_S[0]
        while True:
            began = loop.time()
            code = await self._serve()
            if loop.time() - began >= STEADY_S:
                pause = BACK_OFF_S[0]
            log.error("a worker ended", code=code, next_start_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACK_OFF_S[1])

    async def _serve(self) -> int:
        descriptor = self._sock.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fleet", "--data", str(self._settings.data),
            "coap", "--worker-socket", str(descriptor),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            pass_fds=(descriptor,),
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101  # asked for above
        try:
            while line := await process.stdout.readline():
                if line.decode(errors="replace").strip() == READY:
                    self.ready.set()
            return await process.wait()
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
