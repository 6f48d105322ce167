"""amqtt 0.12.1 sets no bound: it keeps idle, slow and silent peers, and reads packets of any size.

Here each of these ends the peer's own connection, and nobody else's.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_rig import EmbeddedRig, StockRig
from mqtt_peers import packet, text

from fleet.broker import framing, guarded


@pytest.fixture
def mended(tmp_path: Path) -> Iterator[EmbeddedRig]:
    rig = EmbeddedRig(tmp_path)
    yield rig
    rig.stop()


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[StockRig]:
    rig = StockRig(tmp_path)
    yield rig
    rig.stop()


def test_attack_idle_past_the_keep_alive(mended: EmbeddedRig) -> None:
    credential = mended.pki.node()
    with mended.raw(credential) as attacker:
        began = time.monotonic()
        assert attacker.connect(credential.cn, keepalive=2)
        assert attacker.ends()
        assert 2.5 < time.monotonic() - began < 30


def test_sabotage_the_stock_broker_keeps_an_idle_client(stock: StockRig) -> None:
    credential = stock.pki.node()
    with stock.raw(credential) as attacker:
        assert attacker.connect(credential.cn, keepalive=1)
        assert not attacker.ends(3)


def test_attack_keep_alive_of_zero(mended: EmbeddedRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "MAX_KEEP_ALIVE", 1)
    credential = mended.pki.node()
    with mended.raw(credential) as attacker:
        assert attacker.connect(credential.cn, keepalive=0)
        assert attacker.ends()


def test_attack_connect_that_never_comes(
    mended: EmbeddedRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "CONNECT_SECONDS", 0.3)
    with mended.raw(mended.pki.node()) as attacker:
        assert attacker.ends()


def test_sabotage_the_stock_broker_waits_for_a_connect(stock: StockRig) -> None:
    with stock.raw(stock.pki.node()) as attacker:
        assert not attacker.ends(1)


def test_attack_packet_that_never_ends(
    mended: EmbeddedRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "PACKET_SECONDS", 0.3)
    credential = mended.pki.node()
    with mended.raw(credential) as attacker:
        assert attacker.connect(credential.cn)
        attacker.send(packet(0x30, text(f"k1/{credential.cn}/up/report") + b"x" * 100)[:-1])
        assert attacker.ends()


def test_attack_oversize_packet_is_refused_by_its_header(mended: EmbeddedRig) -> None:
    credential = mended.pki.node()
    with mended.raw(credential) as attacker:
        assert attacker.connect(credential.cn)
        attacker.send(b"\x30\xff\xff\xff\x7f")  # announces 256 MB, sends none of it
        assert attacker.ends()


def test_sabotage_the_stock_broker_believes_any_length(stock: StockRig) -> None:
    credential = stock.pki.node()
    with stock.raw(credential) as attacker:
        assert attacker.connect(credential.cn)
        attacker.send(b"\x30\xff\xff\xff\x7f" + bytes(2_000_000))
        assert not attacker.ends(1)


def test_the_largest_packet_that_is_allowed_passes(mended: EmbeddedRig) -> None:
    with mended.client(mended.pki.service) as fleet, mended.client(mended.pki.node()) as node:
        assert fleet.connect()
        fleet.subscribe("k1/+/up/#")
        assert node.connect()
        report = b"r" * 8192
        node.publish(f"k1/{node.credential.cn}/up/report", report)
        assert fleet.receives(report)


def test_attack_many_connections_of_one_node(mended: EmbeddedRig) -> None:
    """Each takes the place of the one before: one node holds one session."""
    credential = mended.pki.node()
    held = [mended.raw(credential) for _ in range(20)]
    for connection in held:
        assert connection.connect(credential.cn)
    assert all(connection.ends() for connection in held[:-1])
    assert not held[-1].ends(0.2)
    assert mended.broker.connected == 1
    for connection in held:
        connection.close()
