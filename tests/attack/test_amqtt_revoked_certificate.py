"""amqtt 0.12.1 knows no revocation after its start, for a new CONNECT or for a live session."""

from collections.abc import Callable
from pathlib import Path

from broker_rig import EmbeddedRig, Rig, StockRig
from mqtt_peers import Client


def _stage(rig: Rig, act: Callable[[Client, Client], bool]) -> bool:
    """Run `act(fleet, node)` with a node whose certificate is revoked while it is connected."""
    try:
        credential = rig.pki.node()
        with rig.client(rig.pki.service) as fleet, rig.client(credential) as node:
            assert fleet.connect()
            fleet.subscribe("k1/+/up/#")
            assert node.connect()
            node.subscribe(f"k1/{credential.cn}/down/#")
            rig.revoke(credential)
            return act(fleet, node)
    finally:
        rig.stop()


def _live_session_speaks(fleet: Client, node: Client) -> bool:
    node.publish(f"k1/{node.credential.cn}/up/report", b"up")
    return fleet.receives(b"up", 0.5)


def _live_session_hears(fleet: Client, node: Client) -> bool:
    fleet.publish(f"k1/{node.credential.cn}/down/receipt", b"down")
    return node.receives(b"down", 0.5)


def test_attack_live_session_of_a_revoked_node_speaks(tmp_path: Path) -> None:
    assert not _stage(EmbeddedRig(tmp_path), _live_session_speaks)


def test_sabotage_the_stock_broker_lets_it_speak(tmp_path: Path) -> None:
    assert _stage(StockRig(tmp_path), _live_session_speaks)


def test_attack_live_session_of_a_revoked_node_hears(tmp_path: Path) -> None:
    assert not _stage(EmbeddedRig(tmp_path), _live_session_hears)


def test_sabotage_the_stock_broker_lets_it_hear(tmp_path: Path) -> None:
    assert _stage(StockRig(tmp_path), _live_session_hears)


def test_the_live_session_of_a_revoked_node_is_closed(tmp_path: Path) -> None:
    assert _stage(EmbeddedRig(tmp_path), lambda _fleet, node: node.ended.wait(60))


def test_attack_revoked_node_connects_again(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)

    def again(_fleet: Client, node: Client) -> bool:
        with rig.client(node.credential) as second:
            return second.connect()

    assert not _stage(rig, again)


def test_sabotage_the_stock_broker_lets_a_revoked_node_connect(tmp_path: Path) -> None:
    rig = StockRig(tmp_path)

    def again(_fleet: Client, node: Client) -> bool:
        with rig.client(node.credential) as second:
            return second.connect()

    assert _stage(rig, again)


def test_a_revocation_list_that_fails_refuses_everybody(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)
    try:
        with rig.client(rig.pki.node()) as node:
            assert node.connect()

            def broken(_serial: int) -> bool:
                raise OSError("the database is gone")

            assert rig.broker._broker
            rig.broker._broker._revoked = broken
            assert node.ended.wait(60)
            with rig.client(rig.pki.node()) as other:
                assert not other.connect()
    finally:
        rig.stop()
