"""amqtt 0.12.1 hands a persistent session, and the TLS identity in it, to whoever names it."""

from pathlib import Path

from broker_rig import EmbeddedRig, Rig, StockRig


def _thief_speaks_as_the_victim(rig: Rig) -> bool:
    victim, thief = rig.pki.node(), rig.pki.node()
    with rig.client(rig.pki.service) as fleet:
        assert fleet.connect()
        fleet.subscribe("k1/+/up/#")
        with rig.client(victim, clean=False) as node:
            assert node.connect()
            node.publish(f"k1/{victim.cn}/up/report", b"true")
            assert fleet.receives(b"true")
        with rig.client(thief, victim.cn, clean=False) as attacker:
            attacker.connect()
            attacker.publish(f"k1/{victim.cn}/up/report", b"forged")
            return fleet.receives(b"forged", 1)


def test_attack_persistent_session_takes_over_the_victims_identity(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)
    try:
        assert not _thief_speaks_as_the_victim(rig)
        assert rig.broker.refusals["client id is not the certificate's CN"] == 1
    finally:
        rig.stop()


def test_sabotage_the_stock_broker_hands_the_identity_over(tmp_path: Path) -> None:
    rig = StockRig(tmp_path)
    try:
        assert _thief_speaks_as_the_victim(rig)
    finally:
        rig.stop()


def test_a_persistent_session_is_not_kept(tmp_path: Path) -> None:
    """What a node subscribed ends with its connection, whatever it asked for."""
    rig = EmbeddedRig(tmp_path)
    try:
        node = rig.pki.node()
        with rig.client(rig.pki.service) as fleet:
            assert fleet.connect()
            with rig.client(node, clean=False) as first:
                assert first.connect()
                first.subscribe(f"k1/{node.cn}/down/#")
            fleet.publish(f"k1/{node.cn}/down/receipt", b"meanwhile")
            with rig.client(node, clean=False) as second:
                assert second.connect()
                fleet.publish(f"k1/{node.cn}/down/receipt", b"after")
                assert not second.receives(b"after", 0.3)
                assert second.inbox == []
    finally:
        rig.stop()
