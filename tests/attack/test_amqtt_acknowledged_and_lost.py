"""amqtt 0.12.1 acknowledges what it then does not deliver: after `$`, and before a DISCONNECT."""

from pathlib import Path

from broker_rig import EmbeddedRig, Rig, StockRig
from mqtt_peers import packet, text


def _acknowledges_for_nobody(rig: Rig) -> bool:
    """Whether a connection lives on, acknowledging, after a PUBLISH to a `$` topic."""
    credential = rig.pki.node()
    with rig.client(rig.pki.service) as fleet, rig.raw(credential) as node:
        assert fleet.connect()
        fleet.subscribe("k1/+/up/#")
        assert node.connect(credential.cn)
        node.send(packet(0x30, text("$SYS/x") + b"evil"))
        if node.ends(0.5):
            return False
        node.send(packet(0x32, text(f"k1/{credential.cn}/up/report") + b"\x00\x01lost"))
        return node.read(4) == b"\x40\x02\x00\x01" and not fleet.receives(b"lost", 0.5)


def _arrived_of_100(rig: Rig) -> int:
    """How many of 100 messages arrive whose sender leaves in good form at once."""
    credential = rig.pki.node()
    with rig.client(rig.pki.service) as fleet, rig.raw(credential) as node:
        assert fleet.connect()
        fleet.subscribe("k1/+/up/#")
        assert node.connect(credential.cn)
        head = text(f"k1/{credential.cn}/up/report")
        burst = b"".join(packet(0x30, head + b"m%d" % i) for i in range(100))
        node.send(burst + packet(0xE0, b""))
        assert node.ends()
        fleet.receives(b"m99", 0.5)
        return len(fleet.inbox)


def test_attack_dollar_topic_leaves_a_connection_that_nobody_serves(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)
    try:
        assert not _acknowledges_for_nobody(rig)
    finally:
        rig.stop()


def test_sabotage_the_stock_broker_acknowledges_for_nobody(tmp_path: Path) -> None:
    rig = StockRig(tmp_path)
    try:
        assert _acknowledges_for_nobody(rig)
    finally:
        rig.stop()


def test_messages_before_a_disconnect_all_arrive(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)
    try:
        assert _arrived_of_100(rig) == 100
    finally:
        rig.stop()


def test_sabotage_the_stock_broker_drops_messages_before_a_disconnect(tmp_path: Path) -> None:
    rig = StockRig(tmp_path)
    try:
        assert _arrived_of_100(rig) < 100
    finally:
        rig.stop()
