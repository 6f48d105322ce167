"""Blocks of updates by CoAP and by HTTPS, at real servers."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiocoap import CONTENT, FORBIDDEN, GET, NOT_FOUND, SERVICE_UNAVAILABLE
from cli_rig import out
from coap_rig import WRAPPER, Link, Node
from updates_rig import City

from fleet import app
from fleet.coap import udp
from fleet.coap.server import Server
from fleet.identity import operations as identity
from fleet.identity import oscore
from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr
from fleet.registry import operations as registry
from fleet.settings import load
from fleet.setup import prepare_certificates
from fleet.updates import http_range, streams
from fleet.updates.http_range import RangeError
from fleet.updates.https import UpdateServer
from fleet.uplink.batches import Batches


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    made = City(tmp_path, 2)
    yield made
    made.close()


async def asked(link: Link, node: Node, number: int, block: int, size: int = 512) -> Any:
    """One block by GET /u/<number>."""
    exponent = size.bit_length() - 5
    return await link.ask(
        node, code=GET, uri_path=("u", str(number)), block2=(block, False, exponent)
    )


@contextlib.asynccontextmanager
async def coap(city: City) -> AsyncIterator[tuple[Link, Node]]:
    """A server, and the first meter with a context."""
    with city.database.begin() as session:
        made = oscore.new_context(session, WRAPPER, city.nodes[0])
    batches = Batches(city.ingest)
    batches.start()
    server = Server(city.database, WRAPPER, batches, udp.bind("127.0.0.1", 0), city.blocks)
    await server.start()
    link = Link(server.port)
    try:
        yield link, Node(city.nodes[0], made.kid, made.secret)
    finally:
        link.close()
        await server.stop()
        await asyncio.to_thread(batches.stop)


async def test_coap_gives_any_block_with_its_tag(city: City) -> None:
    city.roll_out()
    taker = city.node()
    taker.report()
    whole = taker.fetch()
    assert isinstance(whole, bytes)
    async with coap(city) as (link, node):
        last = (len(whole) - 1) // 512
        tags = set()
        for block in (last, 0, 1):
            answer = await asked(link, node, 1, block)
            assert answer.code == CONTENT
            assert answer.payload == whole[512 * block : 512 * block + 512]
            assert answer.opt.block2.more == (block != last)
            tags.add(answer.opt.etag)
        assert len(tags) == 1
        assert (await asked(link, node, 2, 0)).code == NOT_FOUND
        with city.database.begin() as session:
            registry.set_state(session, node.node_id, "quarantined")
        city.clock += streams.KNOWN_S
        assert (await asked(link, node, 1, 0)).code == SERVICE_UNAVAILABLE
        with city.database.begin() as session:
            registry.set_state(session, node.node_id, "active")
        city.revoke()
        assert (await asked(link, node, 1, 0)).code == FORBIDDEN


async def test_a_block_takes_its_number_like_any_request(city: City) -> None:
    city.roll_out()
    city.node().report()
    async with coap(city) as (link, node):
        raw, request = node.seal(code=GET, uri_path=("u", "1"), block2=(0, False, 5))
        first = await link.exchange(raw)
        assert node.open(first, request).code == CONTENT
        again = Link(link._sock.getpeername()[1])
        assert (await again.exchange(raw)) != first, "a recorder fetches nothing by it"
        again.close()


class Client:
    """Requests over one TLS connection after another, by a node's certificate or none."""

    def __init__(self, port: int, folder: Path, roots: Path) -> None:
        self._port = port
        self.context = ssl.create_default_context(cafile=str(roots))
        self._folder = folder

    async def get(
        self, path: str, wanted: str = "", method: str = "GET"
    ) -> tuple[int, str, bytes]:
        """Status, head, body."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self.context, server_hostname="localhost"
        )
        span = f"Range: {wanted}\r\n" if wanted else ""
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\n{span}Connection: close\r\n\r\n".encode()
        )
        raw = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode().lower(), body


@contextlib.asynccontextmanager
async def https(
    city: City, folder: Path, is_revoked: Callable[[int], bool]
) -> AsyncIterator[Client]:
    """A server with an authority, and the first meter with a certificate."""
    data = folder / "data"
    out(data, "init")
    authority = Authority.load(load(data).pki)
    prepare_certificates(authority, load(data))
    certificate, key = certified(city, authority, folder)
    sock = app.listen("127.0.0.1", 0)
    server = UpdateServer(city.blocks, authority, is_revoked, sock)
    await server.start()
    client = Client(server.port, folder, authority.bundle_path)
    client.context.load_cert_chain(certificate, key)
    try:
        yield client
    finally:
        await server.stop()
        sock.close()


def certified(city: City, authority: Authority, folder: Path) -> tuple[Path, Path]:
    """Files of the first meter's certificate and key."""
    key, csr = make_key_and_csr(city.nodes[0])
    with city.database.begin() as session:
        issued = identity.enrol(session, authority, csr)
    certificate, private = folder / "node.crt", folder / "node.key"
    certificate.write_bytes(issued.pem)
    pem = ssl.DER_cert_to_PEM_cert(bytes(key)).replace("CERTIFICATE", "EC PRIVATE KEY")
    private.write_text(pem)
    return certificate, private


async def test_https_gives_ranges_to_the_node_of_the_certificate(
    city: City, tmp_path: Path
) -> None:
    city.roll_out()
    taker = city.node()
    taker.report()
    whole = taker.fetch()
    assert isinstance(whole, bytes)
    revoked: set[int] = set()
    async with https(city, tmp_path, lambda serial: bool(revoked)) as client:
        status, head, body = await client.get("/v1/updates/1", "bytes=100-299")
        assert (status, body) == (206, whole[100:300])
        assert f"content-range: bytes 100-299/{len(whole)}" in head
        assert "etag: " in head
        assert (await client.get("/v1/updates/1"))[2] == whole
        assert (await client.get("/v1/updates/1", "bytes=900000-"))[0] == 416
        assert (await client.get("/v1/updates/1", "bytes=5-2"))[0] == 400
        assert (await client.get("/v1/updates/2", "bytes=0-9"))[0] == 404
        assert (await client.get("/v1/updates/1", method="POST"))[0] == 405
        assert (await client.get("/v1/../kapok.toml"))[0] == 404
        city.revoke()
        city.clock += streams.KNOWN_S
        assert (await client.get("/v1/updates/1", "bytes=0-9"))[0] == 410
        revoked.add(1)
        assert (await client.get("/v1/updates/1", "bytes=0-9"))[0] == 403


async def test_https_without_a_certificate_there_is_no_connection(
    city: City, tmp_path: Path
) -> None:
    async with https(city, tmp_path, lambda serial: False) as client:
        client.context = ssl.create_default_context(
            cafile=str(tmp_path / "data" / "pki" / "bundle.crt")
        )
        with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
            await client.get("/v1/updates/1", "bytes=0-9")


@pytest.mark.parametrize(
    ("header", "found"),
    [("bytes=0-0", (0, 1)), ("bytes=512-1023", (512, 512)), ("bytes=7-", (7, 65536)),
     ("bytes=0-4294967295", (0, 65536))],
)  # fmt: skip
def test_a_range(header: str, found: tuple[int, int]) -> None:
    assert http_range.read(header) == found


@pytest.mark.parametrize("header", ["", "bytes=-5", "bytes=1-0", "bytes=0-1,5-6", "a=0-1"])
def test_no_range(header: str) -> None:
    with pytest.raises(RangeError):
        http_range.read(header)
