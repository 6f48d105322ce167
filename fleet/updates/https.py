"""Streams by HTTPS, for nodes on Cat1: GET /v1/updates/<number> with a Range, by the node's own
certificate. A port of its own, on which nothing else is served.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
import uvicorn
from cryptography import x509
from cryptography.x509.oid import NameOID
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from fleet.api.server import Server
from fleet.identity.authority import Authority
from fleet.updates import http_range
from fleet.updates.blocks import Blocks
from fleet.updates.http_range import RangeError
from fleet.updates.streams import NotServedError
from fleet.wire import nodeid, release

CONNECTIONS = 512  # at once; more are answered 503
LIFE_S = 600.0  # of a connection: a wake
START_S = 10.0
_PATH = re.compile(r"/v1/updates/([0-9]{1,10})")
_STATUS = {release.GONE: 410, release.UNKNOWN: 404, release.LATER: 503}
_AGAIN_S = {"Retry-After": "60"}

log = structlog.get_logger("updates")

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def answer(blocks: Blocks, node_id: str | None, method: str, path: str, wanted: str) -> Response:
    """What is said to a request; `wanted` is its Range header, empty: none."""
    found = _PATH.fullmatch(path)
    if found is None:
        return Response(status_code=404)
    if method != "GET":
        return Response(status_code=405, headers={"Allow": "GET"})
    if node_id is None:
        return Response(status_code=403)
    try:
        # Without a range all of it is wanted, and a part is given: as to one of the first bytes.
        first, length = http_range.read(wanted or "bytes=0-")
    except RangeError:
        return Response(status_code=400)
    try:
        piece = blocks.read(node_id, int(found[1]), first, length)
    except NotServedError as e:
        return Response(
            status_code=_STATUS[e.code], headers=_AGAIN_S if e.code == release.LATER else None
        )
    tag = {"ETag": f'"{piece.etag.hex()}"', "Accept-Ranges": "bytes"}
    if not piece.data:
        tag["Content-Range"] = f"bytes */{piece.total}"
        return Response(status_code=416, headers=tag)
    last = first + len(piece.data) - 1
    tag["Content-Range"] = f"bytes {first}-{last}/{piece.total}"
    return Response(piece.data, 206, tag, media_type="application/octet-stream")


def node_of(certificate: bytes | None, is_revoked: Callable[[int], bool]) -> str | None:
    """The node id of a certificate (DER) that the TLS layer has found good; None: of no node, or
    revoked.
    """
    if certificate is None:
        return None
    parsed = x509.load_der_x509_certificate(certificate)
    names = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1 or is_revoked(parsed.serial_number):
        return None
    try:
        nodeid.to_mac(str(names[0].value))
    except nodeid.NodeIdError:
        return None
    return str(names[0].value)


class UpdateServer:
    """Start it in the loop that serves; `port` is the one that it listens on."""

    def __init__(
        self,
        blocks: Blocks,
        authority: Authority,
        is_revoked: Callable[[int], bool],
        sock: socket.socket,
    ) -> None:
        self._socket = sock
        server = authority.server
        self._server = Server(
            uvicorn.Config(
                _app(blocks),
                http=_protocol(is_revoked),
                ssl_certfile=server.certificate,
                ssl_keyfile=server.key,
                ssl_ca_certs=str(authority.bundle_path),
                ssl_cert_reqs=ssl.CERT_REQUIRED,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=60,
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


def _app(blocks: Blocks) -> App:
    async def app(scope: Scope, receive: Any, send: Any) -> None:
        wanted = next((v for k, v in scope["headers"] if k == b"range"), b"")
        said = await asyncio.to_thread(
            answer, blocks, scope.get("node"), scope["method"], scope["path"],
            wanted.decode("latin-1"),
        )  # fmt: skip
        await said(scope, receive, send)

    return app


def _protocol(is_revoked: Callable[[int], bool]) -> type[H11Protocol]:
    """uvicorn's, that tells the application whose certificate it is, at each request: one that is
    revoked meanwhile gets no more.
    """

    class Known(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(LIFE_S, transport.abort)
            tls = transport.get_extra_info("ssl_object")
            certificate = None if tls is None else tls.getpeercert(binary_form=True)
            inner: Any = self.app

            async def app(scope: Scope, receive: Any, send: Any) -> None:
                scope["node"] = node_of(certificate, is_revoked)
                await inner(scope, receive, send)

            self.app = app

    return Known
