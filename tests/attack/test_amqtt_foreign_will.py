"""amqtt 0.12.1 asks no permission for a will: any client speaks on any topic by dying."""

from pathlib import Path

import pytest
from broker_rig import EmbeddedRig, Rig, StockRig


def _dying_words_arrive(rig: Rig) -> bool:
    with (
        rig.client(rig.pki.service) as fleet,
        rig.client(rig.pki.node()) as victim,
        rig.client(rig.pki.node(), will=(f"k1/{victim.credential.cn}/up/report", b"forged", False))
        as attacker,
    ):  # fmt: skip
        assert fleet.connect()
        fleet.subscribe("k1/+/up/#")
        assert victim.connect()
        attacker.connect()
        attacker.vanish()
        victim.publish(f"k1/{victim.credential.cn}/up/report", b"true")
        assert fleet.receives(b"true")
        return fleet.receives(b"forged", 0.5)


def test_attack_foreign_will(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)
    try:
        assert not _dying_words_arrive(rig)
        assert rig.broker.refusals["will topic not allowed"] == 1
    finally:
        rig.stop()


def test_sabotage_the_stock_broker_delivers_a_foreign_will(tmp_path: Path) -> None:
    rig = StockRig(tmp_path)
    try:
        assert _dying_words_arrive(rig)
    finally:
        rig.stop()


@pytest.mark.parametrize("retain", [False, True])
def test_a_revoked_nodes_own_will_is_not_delivered(tmp_path: Path, retain: bool) -> None:
    rig = EmbeddedRig(tmp_path)
    try:
        credential = rig.pki.node()
        topic = f"k1/{credential.cn}/up/gone"
        with (
            rig.client(rig.pki.service) as fleet,
            rig.client(credential, will=(topic, b"last words", retain)) as node,
        ):
            assert fleet.connect()
            fleet.subscribe("k1/+/up/#")
            assert node.connect()
            rig.revoke(credential)
            node.vanish()
            assert not fleet.receives(b"last words", 0.5)
    finally:
        rig.stop()
