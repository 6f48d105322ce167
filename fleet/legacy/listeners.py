"""The servers of `kapok legacy serve`: all ports in one loop, and one thread that commits."""

import asyncio
import contextlib
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from fleet.db.base import Database
from fleet.legacy import descriptors, links
from fleet.legacy.channel import Rules
from fleet.legacy.commits import Commits
from fleet.legacy.config import Config
from fleet.legacy.datagrams import Datagrams
from fleet.legacy.polling import Dtu, Polls
from fleet.legacy.protocols.hj212 import MODBUS_CRC
from fleet.legacy.sessions import Feed, Hall, Session
from fleet.legacy.talks import KINDS
from fleet.settings import SettingsError

BACKLOG = 4_096
SWEEP_S = 1.0
REFRESH_S = 5.0  # what a command changes is seen this late at most
REPORT_S = 60.0  # counts go to the log

log = structlog.get_logger("legacy")


class Listeners:
    """Everything that listens. Start and stop it in one loop."""

    def __init__(self, database: Database, config: Config) -> None:
        self._database, self._config = database, config
        self.counts: Counter[str] = Counter()
        self.commits = Commits(database, config.home)
        self.rules = Rules(config.meanings)
        self.addresses: dict[str, Any] = {}
        self.hall: Hall | None = None
        self.polls: Polls | None = None

    async def run(self, ready: Callable[[dict[str, Any]], None], ended: asyncio.Event) -> None:
        """Serve until `ended`. `ready` is told the addresses."""
        async with contextlib.AsyncExitStack() as stack:
            self.commits.start()
            stack.push_async_callback(asyncio.to_thread, self.commits.stop)
            self.hall = hall = Hall(self.commits, self._config.bounds, self.counts)
            self.polls = polls = Polls(self._database, self.counts)
            stack.callback(polls.orders.close)
            self.rules.allowed = await asyncio.to_thread(self._allowed)
            for name, port in self._config.ports.items():
                if port is not None:
                    await self._station(stack, hall, name, port)
            for place, (port, model) in enumerate(self._config.dtus):

                def box(session: Session, model: Any = model) -> Feed:
                    return Dtu(polls, model, session)

                name = "dtu" if place == 0 else f"dtu_{place + 1}"
                await self._tcp(stack, hall, name, port, box)
            for task in (self._sweep(hall), self._refresh(), polls.orders.watch()):
                made = asyncio.create_task(task)
                stack.callback(made.cancel)
            ready(self.addresses)
            await ended.wait()

    async def _station(
        self, stack: contextlib.AsyncExitStack, hall: Hall, name: str, port: int
    ) -> None:
        make = KINDS[name]
        port = await self._tcp(stack, hall, name, port, lambda session: make(self.rules, session))
        sock = _bind(self._config.host, port, socket.SOCK_DGRAM, name)
        transport, _ = await hall.loop.create_datagram_endpoint(
            lambda: Datagrams(hall, self.rules, make), sock=sock
        )
        stack.callback(transport.close)

    async def _tcp(
        self, stack: contextlib.AsyncExitStack, hall: Hall, name: str, port: int,
        make: Callable[[Session], Feed],
    ) -> int:  # fmt: skip
        sock = _bind(self._config.host, port, socket.SOCK_STREAM, name)
        server = await hall.loop.create_server(
            lambda: Session(hall, make), sock=sock, backlog=BACKLOG
        )
        stack.callback(server.close)
        found: int = sock.getsockname()[1]
        self.addresses[f"{name}_port"] = found
        return found

    async def _sweep(self, hall: Hall) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            hall.sweep()

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        told = loop.time()
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                self.rules.allowed = await asyncio.to_thread(self._allowed)
            except Exception as e:  # the database is away: what was allowed stays so
                log.error("cannot look who is tolerated", reason=repr(e)[:300])
            if loop.time() - told >= REPORT_S:
                told = loop.time()
                log.info("counts", **self.all_counts())

    def all_counts(self) -> dict[str, int]:
        """What happened since the start, and what is open and waiting now."""
        now = {"open": len(self.hall or ()), "waiting": len(self.commits)}
        return {**self.counts, **self.commits.counts, **now}

    def _allowed(self) -> frozenset[str]:
        with self._database.read() as session:
            return frozenset(links.allowed(session, MODBUS_CRC))


async def serve(
    database: Database, config: Config, ready: Callable[[dict[str, Any]], None]
) -> None:
    """Serve until SIGTERM or SIGINT; SettingsError where a port or the open files are lacking."""
    descriptors.make_room(config.bounds.connections)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    served = Listeners(database, config)

    def tell(addresses: dict[str, Any]) -> None:
        ready({"pid": os.getpid(), "host": config.host, **addresses})

    await served.run(tell, ended)
    log.info("counts", **served.all_counts())


def _bind(host: str, port: int, kind: int, what: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except (OSError, ValueError, OverflowError) as e:
        sock.close()
        reason = getattr(e, "strerror", None) or str(e)
        raise SettingsError(f"{what} cannot listen on {host}:{port}: {reason}") from None
    return sock
