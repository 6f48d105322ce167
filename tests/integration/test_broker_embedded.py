"""The embedded broker as a guest of the process: it starts or says why, stops, keeps quiet."""

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from broker_rig import EmbeddedRig, Pki, tls_versions
from mqtt_peers import packet, text

from fleet.broker.embedded import BrokerSettings, EmbeddedBroker
from fleet.broker.errors import BrokerError


def good(pki: Pki) -> BrokerSettings:
    files = pki.authority
    return BrokerSettings(files.server.certificate, files.server.key, files.bundle_path)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[EmbeddedRig]:
    rig = EmbeddedRig(tmp_path)
    yield rig
    rig.stop()


async def refusal(settings: BrokerSettings) -> str:
    broker = EmbeddedBroker(settings, lambda _serial: False)
    with pytest.raises(BrokerError) as caught:
        await broker.start()
    await broker.stop()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("field", ["certificate", "key", "authorities"])
@pytest.mark.parametrize("damage", [None, b"", b"garbage", b"\x00" * 9000, "folder"])
async def test_a_bad_file_is_named_in_one_line(
    tmp_path: Path, field: str, damage: bytes | str | None
) -> None:
    path = tmp_path / "bad.pem"
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    elif damage:
        path.mkdir()
    settings = good(Pki(tmp_path / "p"))
    files = {
        "certificate": settings.certificate,
        "key": settings.key,
        "authorities": settings.authorities,
        field: path,
    }
    message = await refusal(
        BrokerSettings(files["certificate"], files["key"], files["authorities"])
    )
    assert "bad.pem" in message


async def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    message = await refusal(replace(good(pki), key=pki.authority.service.key))
    assert "fleet.key" in message


async def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = await refusal(replace(good(Pki(tmp_path)), port=port))
        assert str(port) in message
        assert "in use" in message


async def test_a_host_that_is_not_ours_is_one_line(tmp_path: Path) -> None:
    assert "192.0.2.1" in await refusal(replace(good(Pki(tmp_path)), host="192.0.2.1"))


async def test_it_starts_again_on_the_same_port(tmp_path: Path) -> None:
    settings = good(Pki(tmp_path))
    broker = EmbeddedBroker(settings, lambda _serial: False)
    with pytest.raises(BrokerError):
        _ = broker.port
    await broker.start()
    with pytest.raises(BrokerError):
        await broker.start()
    settings = replace(settings, port=broker.port)
    await broker.stop()
    await broker.stop()
    again = EmbeddedBroker(settings, lambda _serial: False)
    await again.start()
    assert again.port == settings.port
    await again.stop()
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and not t.done()]
    assert left == []


def test_it_stops_in_seconds_whatever_the_peers_do(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)
    credential = rig.pki.node()
    with (
        socket.create_connection(("localhost", rig.port)),
        rig.raw(rig.pki.node()),
        rig.raw(credential) as deaf,
        rig.client(rig.pki.service) as fleet,
    ):
        assert deaf.connect(credential.cn)
        deaf.send(packet(0x82, b"\x00\x01" + text(f"k1/{credential.cn}/down/#") + b"\x00"))
        assert fleet.connect()
        for _ in range(300):
            fleet.publish(f"k1/{credential.cn}/down/receipt", b"x" * 10000, qos=0)
        began = time.monotonic()
        rig.stop()
        assert time.monotonic() - began < 30
        assert fleet.ended.wait(60)


def test_tls_below_1_2_is_refused(rig: EmbeddedRig) -> None:
    credential = rig.pki.node()
    assert tls_versions(rig, ssl.TLSVersion.TLSv1_3, credential)
    assert tls_versions(rig, ssl.TLSVersion.TLSv1_2, credential)
    assert not tls_versions(rig, ssl.TLSVersion.TLSv1_1, credential)


def test_a_deaf_peer_does_not_hold_up_the_others(rig: EmbeddedRig) -> None:
    """One node reads nothing: its own messages pile up, another's come through."""
    deaf_one = rig.pki.node()
    with (
        rig.raw(deaf_one) as deaf,
        rig.client(rig.pki.node()) as node,
        rig.client(rig.pki.service) as fleet,
    ):
        assert deaf.connect(deaf_one.cn)
        deaf.send(packet(0x82, b"\x00\x01" + text(f"k1/{deaf_one.cn}/down/#") + b"\x00"))
        assert node.connect()
        node.subscribe(f"k1/{node.credential.cn}/down/#")
        assert fleet.connect()
        for _ in range(500):
            fleet.publish(f"k1/{deaf_one.cn}/down/receipt", b"x" * 10000, qos=0)
        fleet.publish(f"k1/{node.credential.cn}/down/receipt", b"receipt")
        assert node.receives(b"receipt")


def test_nothing_is_lost_while_others_come_and_go(rig: EmbeddedRig) -> None:
    """Subscriptions change while messages are handed on."""
    stop = threading.Event()
    credential = rig.pki.node()

    def churn() -> None:
        while not stop.is_set():
            with rig.raw(credential) as node:
                node.connect(credential.cn)
                topic = text(f"k1/{credential.cn}/down/#")
                node.send(packet(0x82, b"\x00\x01" + topic + b"\x00") + packet(0xE0, b""))
                node.ends(1)

    with rig.client(rig.pki.service) as fleet, rig.client(rig.pki.node()) as node:
        assert fleet.connect()
        fleet.subscribe("k1/+/up/#")
        assert node.connect()
        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for n in range(500):
                node.publish(f"k1/{node.credential.cn}/up/report", b"%d" % n)
            assert fleet.receives(b"499")
        finally:
            stop.set()
            thread.join(10)
        assert [data for _, data in fleet.inbox] == [b"%d" % n for n in range(500)]


def test_refusals_are_counted(rig: EmbeddedRig) -> None:
    with rig.client(rig.pki.node(), "somebody") as attacker:
        assert not attacker.connect()
    with rig.client(rig.pki.node()) as attacker:
        assert attacker.connect()
        attacker.publish("k1/x/up/y", b"evil")
        attacker.subscribe("#")
        assert rig.broker.connected == 1
    assert rig.broker.refusals["client id is not the certificate's CN"] == 1
    assert rig.broker.refusals["publish not allowed"] == 1
    assert rig.broker.refusals["subscribe not allowed"] == 1


_NOISE = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from broker_rig import EmbeddedRig
rig = EmbeddedRig(Path({folder!r}))
for client_id in ("somebody", None):
    with rig.client(rig.pki.node(), client_id) as client:
        client.connect()
        client.publish("k1/x/up/y", b"evil")
for hostile in (b"", b"GET / HTTP/1.1\\r\\n\\r\\n", bytes(50)):
    with rig.raw(rig.pki.node()) as raw:
        raw.send(hostile)
rig.stop()
"""


def test_hostile_clients_leave_stdout_and_stderr_clean(tmp_path: Path) -> None:
    code = _NOISE.format(paths=[p for p in sys.path if p], folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
