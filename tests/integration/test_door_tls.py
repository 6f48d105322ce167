"""The node's TLS on the MicroPython VM against hostile, broken and silent peers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from node.link.mqtt import packet, text
from node.wire import receipt, report

from tests.support.door_vm import HOST, NODE, DoorVm, build
from tests.support.pki import Leaf, Pki

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
# From mbedTLS 3.6: x509.h, ssl.h.
VERIFY_FAILED, CONN_EOF, INVALID_RECORD, FATAL_ALERT = -0x2700, -0x7280, -0x7200, -0x7780


@pytest.fixture
async def vm(tmp_path: Path) -> DoorVm:
    await build(tmp_path)
    pki = Pki()
    return DoorVm(tmp_path, pki, pki.leaf(NODE))


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


def tls_server(vm: DoorVm, leaf: Leaf, clients: Pki | None = None) -> ssl.SSLContext:
    """Serves as `leaf`, demands a client certificate of `clients`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*leaf.write(vm.folder, "server"))
    context.load_verify_locations((clients or vm.pki).write_bundle(vm.folder))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize(("most", "step"), [(1024, 1024), (1, 1), (5, 2)])
async def test_both_sides_know_each_other(vm: DoorVm, most: int, step: int) -> None:
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST))
    async with serving(echo, server) as port:
        payload = bytes(range(256)) * (4 if most > 1 else 1)
        result = await vm.run(port, "shake", payload=payload, most=most, step=step)
    assert result.get("ok") is True, result


async def test_attack_server_of_an_unknown_ca(vm: DoorVm) -> None:
    server = tls_server(vm, Pki().leaf("fleet", dns=HOST))
    async with serving(echo, server) as port:
        result = await vm.run(port, "shake")
    assert (result.get("error"), result["cause"]) == ("TlsError", VERIFY_FAILED)
    assert "not correctly signed" in result["text"]


async def test_attack_server_with_another_name(vm: DoorVm) -> None:
    server = tls_server(vm, vm.pki.leaf("fleet", dns="other.test"))
    async with serving(echo, server) as port:
        result = await vm.run(port, "shake")
    assert (result.get("error"), result["cause"]) == ("TlsError", VERIFY_FAILED)
    assert "does not match" in result["text"]


async def test_attack_a_nodes_certificate_does_not_make_a_server(vm: DoorVm) -> None:
    server = tls_server(vm, vm.pki.leaf("1gntj14d2q"))
    async with serving(echo, server) as port:
        result = await vm.run(port, "shake")
    assert (result.get("error"), result["cause"]) == ("TlsError", VERIFY_FAILED)


async def test_attack_server_with_an_expired_certificate(vm: DoorVm) -> None:
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST, days=-2))
    async with serving(echo, server) as port:
        result = await vm.run(port, "shake")
    assert (result.get("error"), result["cause"]) == ("TlsError", VERIFY_FAILED)


async def test_sabotage_without_verification_the_stranger_is_talked_to(vm: DoorVm) -> None:
    server = tls_server(vm, Pki().leaf("fleet", dns="other.test"), vm.pki)
    async with serving(echo, server) as port:
        result = await vm.run(port, "shake", sabotage="no verification")
    assert result.get("ok") is True, result


async def test_server_that_does_not_know_the_node(vm: DoorVm) -> None:
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST), Pki())
    async with serving(echo, server) as port:
        result = await vm.run(port, "shake")
    assert result.get("error") == "TlsError"
    assert result["cause"] in (FATAL_ALERT, CONN_EOF)  # asyncio closes without its alert


async def test_plain_text_peer(vm: DoorVm) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serving(plain) as port:
        result = await vm.run(port, "shake")
    assert (result.get("error"), result["cause"]) == ("TlsError", INVALID_RECORD)


@pytest.mark.parametrize("after", [0, 3, 5, 40, 200])
async def test_peer_that_closes_during_the_handshake(vm: DoorVm, after: int) -> None:
    """It sends the first `after` bytes of a real server's answer, then closes."""
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = server.wrap_bio(incoming, outgoing, server_side=True)

    async def truncated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming.write(await reader.read(2000))
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        writer.write(outgoing.read()[:after])
        await writer.drain()

    async with serving(truncated) as port:
        result = await vm.run(port, "shake")
    assert (result.get("error"), result["cause"]) == ("TlsError", CONN_EOF)
    assert result["ms"] < 3000


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x03\x40\x00"])
async def test_peer_that_goes_silent(vm: DoorVm, first: bytes) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        while await reader.read(1000):
            pass

    async with serving(silent) as port:
        result = await vm.run(port, "shake", deadline_ms=500)
    assert (result.get("error"), result["cause"]) == ("TlsError", 0)
    assert "no handshake within 500 ms" in result["text"]
    assert 500 <= result["ms"] < 3000


async def test_peer_that_resets_after_the_handshake(vm: DoorVm) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.transport.abort()

    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST))
    async with serving(reset, server) as port:
        result = await vm.run(port, "shake")
    assert result.get("error") in ("TlsError", "SocketError"), result


@pytest.mark.parametrize("after", [1, 300, 1100])
async def test_modem_that_loses_the_connection(vm: DoorVm, after: int) -> None:
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST))
    async with serving(echo, server) as port:
        result = await vm.run(port, "shake", payload=bytes(1000), fail_after=after)
    assert (result.get("error"), result["cause"]) == ("SocketError", 567)
    assert result["ms"] < 3000


def scripted(*answers: bytes) -> Handler:
    """A broker that answers packet after packet by rote, then closes."""

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(2000)
            writer.write(answer)
            await writer.drain()

    return broker


CONNACK, SUBACK, PUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00", b"\x40\x02\x00\x02"
BODY = report.encode_body(1795411856, report.GOOD, [(2, 1830)])
REPORT = report.encode(7, 1795411856, [(1, BODY)], {})
RECEIPT = receipt.encode(7, [(1, 1)])


async def test_broker_that_closes_instead_of_a_receipt(vm: DoorVm) -> None:
    """The node is told at once; it does not wait for its deadline."""
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST))
    async with serving(scripted(CONNACK, SUBACK, PUBACK), server) as port:
        result = await vm.run(port, "deliver", reports=[REPORT], deadline_ms=9000)
    assert result.get("error") == "TlsError", result
    assert result["ms"] < 3000


@pytest.mark.parametrize("last", [b"", b"\xd0\x00"])
async def test_receipt_without_a_puback_is_a_receipt(vm: DoorVm, last: bytes) -> None:
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST))
    message = packet(0x30, text(f"k1/{NODE}/down/receipt"), RECEIPT)
    async with serving(scripted(CONNACK, SUBACK, message, last), server) as port:
        result = await vm.run(port, "deliver", reports=[REPORT], deadline_ms=500)
    assert result.get("receipts") == [RECEIPT.hex()], result


@pytest.mark.parametrize(
    ("answers", "error", "cause"),
    [
        ((b"\x20\x02\x00\x05",), "MqttError", 5),
        ((CONNACK, b"\x90\x03\x00\x01\x80"), "MqttError", 128),
        ((CONNACK, SUBACK, b"\x30\xff\xff\xff\x7f"), "MqttError", 0),
    ],
)
async def test_broker_that_refuses_or_lies(
    vm: DoorVm, answers: tuple[bytes, ...], error: str, cause: int
) -> None:
    server = tls_server(vm, vm.pki.leaf("fleet", dns=HOST))
    async with serving(scripted(*answers, b""), server) as port:
        result = await vm.run(port, "deliver", reports=[REPORT], deadline_ms=5000)
    assert (result.get("error"), result["cause"]) == (error, cause)
    assert result["ms"] < 3000


async def test_nobody_listens(vm: DoorVm) -> None:
    async with serving(echo) as port:
        pass
    result = await vm.run(port, "shake")
    assert result.get("error") == "SocketError"


@pytest.mark.parametrize("which", ["ca", "cert", "key"])
@pytest.mark.parametrize("value", [b"", b"0", bytes(40)])
async def test_damaged_credentials(vm: DoorVm, which: str, value: bytes) -> None:
    async with serving(echo) as port:
        damaged: dict[str, Any] = {which: value}
        result = await vm.run(port, "shake", **damaged)
    assert result.get("error") == "TlsError"
    assert "credentials" in result["text"]
