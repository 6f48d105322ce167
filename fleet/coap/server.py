"""The CoAP server of one process: aiocoap's context on our socket, with our site."""

import asyncio
import contextlib
import logging
import socket
from collections import Counter

import structlog
from aiocoap import Context
from aiocoap.tokenmanager import TokenManager

from fleet.coap.commits import ANSWER_S, Commits
from fleet.coap.contexts import Contexts
from fleet.coap.exchanges import Exchanges
from fleet.coap.limits import Limits
from fleet.coap.protected import Protected
from fleet.coap.site import Site
from fleet.coap.udp import Udp
from fleet.db.base import Database
from fleet.identity.wrapping import Wrapper
from fleet.updates.blocks import Blocks
from fleet.uplink.batches import Batches

_DRAIN_S = ANSWER_S + 1

log = structlog.get_logger("coap")


class Server:
    """Answers on `sock` from `start` to `stop`. `counts` tells what became of datagrams."""

    def __init__(
        self,
        database: Database,
        wrapper: Wrapper,
        batches: Batches,
        sock: socket.socket,
        blocks: Blocks | None = None,
    ) -> None:
        self._database = database
        self._wrapper = wrapper
        self._batches = batches
        self._sock = sock
        self._blocks = blocks  # of updates; None: nodes are told to ask later
        self.counts: Counter[str] = Counter()
        self.limits = Limits()
        self.port: int = sock.getsockname()[1]

    async def start(self) -> None:
        """Begin to answer; in the event loop that is running."""
        _quiet()
        self.contexts = Contexts(self._database, self._wrapper)
        protected = Protected(self.contexts, Commits(self._batches), self.counts, self._blocks)
        self.site = Site(self.contexts, protected, self.limits, self.counts)
        self._context = Context(
            loop=asyncio.get_running_loop(), serversite=self.site, loggername="kapok.coap"
        )
        requests = TokenManager(self._context)
        self.exchanges = exchanges = Exchanges(requests)
        self.udp = Udp(self._sock, exchanges, self.limits, self.counts)
        exchanges.message_interface = self.udp
        requests.token_interface = exchanges
        self._context.request_interfaces.append(requests)

    async def stop(self) -> None:
        """Take no more datagrams, answer those that are in work, and end. Stop it first of all."""
        self.udp.close_entrance()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await self.site.idle()
        await self._context.shutdown()


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.error("aiocoap", reason=record.getMessage()[:300])


def _quiet() -> None:
    """Of aiocoap's words only errors are heard: strangers cause the others as they like."""
    logger = logging.getLogger("kapok.coap")
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.handlers = [_ToStructlog()]
