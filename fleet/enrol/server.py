"""The enrolment API's own server: HTTPS with the fleet's certificate, on a port of its own."""

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fleet.api.server import Server
from fleet.db.base import Database
from fleet.enrol import routes
from fleet.enrol.types import roles
from fleet.identity.authority import Authority
from fleet.identity.wrapping import Wrapper
from fleet.settings import Settings

CONNECTIONS = 128  # at once; more are answered 503
LIFE_S = 60.0  # of a connection
START_S = 10.0


class _Brief(H11Protocol):
    """A connection that ends after LIFE_S, whatever it does: one that says nothing holds a place
    that others need, and every call has a connection of its own.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's, with an end."""
        super().connection_made(transport)
        self.loop.call_later(LIFE_S, transport.abort)


class EnrolServer:
    """Start it when the doors' addresses are known; `port` is the one that it listens on."""

    def __init__(
        self,
        database: Database,
        authority: Authority,
        wrapper: Wrapper,
        settings: Settings,
        sock: socket.socket,
        doors: dict[str, tuple[str, int]],
    ) -> None:
        site = routes.Site(doors, settings.enrol_defaults)
        app = routes.create(database, authority, wrapper, roles(), site)
        server = authority.server
        self._socket = sock
        self._server = Server(
            uvicorn.Config(
                app,
                http=_Brief,
                ssl_certfile=server.certificate,
                ssl_keyfile=server.key,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=5,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The TCP port."""
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        """Serve; returns when it listens."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        await asyncio.wait_for(self._server.ready.wait(), START_S)

    async def stop(self) -> None:
        """Finish what was begun, and end."""
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.wait([self._serving])
