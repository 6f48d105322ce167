"""amqtt 0.12.1 deletes a client's session before it asks who is calling.

A CONNECT with a victim's client id, refused for want of a certificate, leaves the victim connected
but deaf; a refused one for a persistent session locks the real node out for ever.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from broker_rig import EmbeddedRig, Rig, StockRig
from mqtt_peers import Credential


def _victim_still_hears(rig: Rig, clean: bool) -> bool:
    with rig.client(rig.pki.service) as fleet, rig.client(rig.pki.node()) as victim:
        assert fleet.connect()
        assert victim.connect()
        me = victim.credential.cn
        victim.subscribe(f"k1/{me}/down/#")
        with rig.client(Credential(me, None, None), clean=clean) as attacker:
            attacker.connect()
        with rig.client(rig.pki.node(), me, clean=clean) as attacker:
            attacker.connect()
        fleet.publish(f"k1/{me}/down/receipt", b"receipt")
        return victim.receives(b"receipt", 1) and not victim.ended.is_set()


def _real_node_can_come_back(rig: Rig) -> bool:
    credential = rig.pki.node()
    with rig.client(rig.pki.node(), credential.cn, clean=False) as attacker:
        attacker.connect()
    with rig.client(credential, clean=False) as node:
        return node.connect()


def _run(kind: Callable[[Path], Rig], folder: Path, scene: Callable[[Rig], bool]) -> bool:
    rig = kind(folder)
    try:
        return scene(rig)
    finally:
        rig.stop()


@pytest.mark.parametrize("clean", [True, False])
def test_attack_refused_connect_makes_the_victim_deaf(tmp_path: Path, clean: bool) -> None:
    assert _run(EmbeddedRig, tmp_path, lambda rig: _victim_still_hears(rig, clean))


def test_sabotage_the_stock_broker_makes_the_victim_deaf(tmp_path: Path) -> None:
    assert not _run(StockRig, tmp_path, lambda rig: _victim_still_hears(rig, True))


def test_attack_refused_takeover_locks_the_real_node_out(tmp_path: Path) -> None:
    assert _run(EmbeddedRig, tmp_path, _real_node_can_come_back)


def test_sabotage_the_stock_broker_locks_the_real_node_out(tmp_path: Path) -> None:
    assert not _run(StockRig, tmp_path, _real_node_can_come_back)
