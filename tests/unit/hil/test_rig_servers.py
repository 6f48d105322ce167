"""The rig's own servers: what a node is to refuse would serve a client that does not look."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.identity.authority import Authority
from hil.servers import certificates, packets, wrong
from hil.servers.front import Front, Relay, Silent
from hil.servers.standin import StandIn

NAME = "localhost"
CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x01\x2c\x00\x04node"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    authority = Authority.create(tmp_path_factory.mktemp("fleet") / "pki")
    authority.issue_service()
    return authority.folder


@pytest.fixture
def front() -> Iterator[Front]:
    found = Front()
    with contextlib.closing(found):
        yield found


def context(pki: Path, folder: Path, name: str) -> ssl.SSLContext:
    make = wrong.CHAINS.get(name, certificates.good)
    made = make(certificates.of_fleet(pki), NAME).context(folder, pki / "bundle.crt")
    if name in wrong.CONTEXTS:
        wrong.CONTEXTS[name](made)
    return made


def client(pki: Path, *, looks: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_cert_chain(pki / "fleet.crt", pki / "fleet.key")
    if looks:
        made.load_verify_locations(pki / "root.crt")
        return made
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    made.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    return made


def connack(port: int, made: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection((NAME, port), timeout=60) as line,
        made.wrap_socket(line, server_hostname=NAME) as secure,
    ):
        secure.sendall(CONNECT)
        return secure.recv(4)


@pytest.mark.parametrize("name", [*wrong.CHAINS, *wrong.CONTEXTS])
def test_a_careless_client_is_served(pki: Path, front: Front, tmp_path: Path, name: str) -> None:
    server = StandIn(context(pki, tmp_path, name))
    front.plays(server)
    at = packets.mark()
    assert connack(front.port, client(pki, looks=False)) == b"\x20\x02\x00\x00"
    assert [packet.keep_alive_s for packet in server.of("CONNECT")] == [300]
    noted = [line for _, line in packets.since(at, "mqtt")]
    assert noted == ["> CONNECT 16 bytes", "< CONNACK code 0 2 bytes"]


def test_packets_are_noted_without_their_contents() -> None:
    at = packets.mark()
    packets.mqtt(packets.CAME, 0x3A, b"\x00\x01a\x00\x07secret")
    packets.mqtt_sent(b"\x40\x02\x00\x07" + b"\x30\x8b\x01\x00\x04down" + bytes(133))
    packets.coap(packets.CAME, b"\x44\x02\x01\x00tokn")
    packets.coap(packets.WENT, b"\x60")
    assert [line for _, line in packets.since(at, "mqtt")] == [
        "> PUBLISH a qos 1 id 7 dup 11 bytes", "< PUBACK id 7 2 bytes",
        "< PUBLISH down qos 0 139 bytes",
    ]  # fmt: skip
    assert [line for _, line in packets.since(at, "coap")] == [
        "> CON 0.02 id 256 8 bytes", "< no CoAP 1 bytes",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["good", "large"])
def test_a_careful_client_is_served_by_what_is_good(
    pki: Path, front: Front, tmp_path: Path, name: str
) -> None:
    front.plays(StandIn(context(pki, tmp_path, name)))
    assert connack(front.port, client(pki, looks=True)) == b"\x20\x02\x00\x00"


@pytest.mark.parametrize("name", ["unknown", "expired", "other name", "short key"])
def test_a_careful_client_refuses(pki: Path, front: Front, tmp_path: Path, name: str) -> None:
    server = StandIn(context(pki, tmp_path, name))
    front.plays(server)
    with pytest.raises(ssl.SSLCertVerificationError):
        connack(front.port, client(pki, looks=True))
    assert front.visits[0].ended.wait(60)
    assert not server.packets


def test_a_large_chain_is_large(pki: Path) -> None:
    shown = wrong.large(certificates.of_fleet(pki), NAME).certificates.decode()
    pems = [each + "-----END CERTIFICATE-----\n" for each in shown.split("-----END")[:-1]]
    assert sum(len(ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN") :])) for pem in pems) > (
        wrong.LARGE
    )


def test_a_relay_leads_to_another_port_and_a_silent_one_says_nothing(front: Front) -> None:
    with socket.create_server(("127.0.0.1", 0)) as behind:
        front.plays(Relay(behind.getsockname()[1]))
        with socket.create_connection(("127.0.0.1", front.port), timeout=60) as line:
            inner, _ = behind.accept()
            line.sendall(b"there")
            assert inner.recv(5) == b"there"
            inner.sendall(b"and back")
            assert line.recv(8) == b"and back"
            inner.close()
            assert line.recv(1) == b""
        assert front.visits[0].ended.wait(60)
        assert front.visits[0].heard == 5
    front.plays(Silent())
    with socket.create_connection(("127.0.0.1", front.port), timeout=60) as line:
        line.sendall(b"is there anybody?")
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b""
    assert front.visits[0].ended.wait(60)
    assert front.visits[0].heard == 17
