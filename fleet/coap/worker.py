"""One process of `kapok coap`: answers on a socket that it was given, until told to end."""

import asyncio
import contextlib
import os
import signal
import socket
import sys

import structlog

from fleet.coap.server import Server
from fleet.db import revision
from fleet.db.base import Database
from fleet.identity.authority import Authority
from fleet.identity.claims import Claims
from fleet.identity.wrapping import Cached, open_wrapper
from fleet.settings import Settings
from fleet.updates.blocks import Blocks
from fleet.updates.streams import Streams
from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Ingest

COUNTS_S = 60.0
READY = "ready"

log = structlog.get_logger("coap")


async def run(settings: Settings, descriptor: int) -> None:
    """Serve on the bound socket `descriptor` until SIGTERM, or until standard input ends.

    That ends when the supervisor does, however it does. READY on standard output tells that
    requests are answered.
    """
    ended = _ends()
    with contextlib.closing(Database(settings.database_url)) as database:
        revision.check(database)
        wrapper = Cached(open_wrapper(settings))
        ingest = Ingest(database, wrapper, Claims(Authority.load(settings.pki), wrapper))
        batches = Batches(ingest)
        batches.start()
        server = Server(
            database, wrapper, batches, socket.socket(fileno=descriptor), Blocks(Streams(database))
        )
        await server.start()
        print(READY, flush=True)  # noqa: T201
        telling = asyncio.create_task(_tell(server))
        await ended.wait()
        telling.cancel()
        await server.stop()
        await asyncio.to_thread(batches.stop)
        log.info("counts", **server.counts)


def _ends() -> asyncio.Event:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor too

    def readable() -> None:
        if not os.read(0, 1):
            loop.remove_reader(sys.stdin)
            ended.set()

    loop.add_reader(sys.stdin, readable)
    return ended


async def _tell(server: Server) -> None:
    """Put the counts into the log from time to time."""
    told: dict[str, int] = {}
    while True:
        await asyncio.sleep(COUNTS_S)
        if server.counts != told:
            told = dict(server.counts)
            log.info("counts", **told)
