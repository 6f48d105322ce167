"""The fleet's own HTTPS server of updates, with a node that it knows."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

from cli_rig import out
from updates_rig import City

from fleet import app
from fleet.identity import operations as identity
from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr
from fleet.settings import load
from fleet.setup import prepare_certificates
from fleet.updates.https import UpdateServer


class Known(NamedTuple):
    """Where it listens on localhost, and what the first node has in NVS, DER."""

    port: int
    ca: bytes
    cert: bytes
    key: bytes


@contextlib.asynccontextmanager
async def serving(
    city: City, folder: Path, is_revoked: Callable[[int], bool] = lambda serial: False
) -> AsyncIterator[Known]:
    """The server, for the first node of `city`."""
    data = folder / "data"
    out(data, "init")
    authority = Authority.load(load(data).pki)
    prepare_certificates(authority, load(data))
    key, csr = make_key_and_csr(city.nodes[0])
    with city.database.begin() as session:
        issued = identity.enrol(session, authority, csr)
    sock = app.listen("127.0.0.1", 0)
    server = UpdateServer(city.blocks, authority, is_revoked, sock)
    await server.start()
    try:
        yield Known(server.port, authority.root_der, issued.der, bytes(key))
    finally:
        await server.stop()
        sock.close()
