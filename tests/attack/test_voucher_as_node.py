"""A voucher's credentials used as if they were a node's: nothing that they send is a reading."""

from pathlib import Path

import fleet_rig
import pytest
from broker_rig import MOSQUITTO, EmbeddedRig, MosquittoRig, Pki, Rig
from claims_rig import Board, desk
from mqtt_peers import Credential

from fleet.broker import permissions
from fleet.broker.permissions import Action, Rule, allowed
from fleet.identity import client, vouchers
from fleet.uplink import topics
from fleet.wire import claim as wire

NODE = "1gntj14d2p"
VICTIM = "v0123456789"
CHANGED = 0x44
RIGS = [
    EmbeddedRig,
    pytest.param(
        MosquittoRig, marks=pytest.mark.skipif(not MOSQUITTO, reason="no Mosquitto here")
    ),
]


def _credential(pki: Pki) -> Credential:
    claim_id = vouchers.draw_id()
    key, request = client.make_claim_key_and_csr(claim_id)
    issued = pki.authority.issue_claim(request)
    return pki._write(claim_id, client.key_pem(key), issued.pem, issued.serial)


@pytest.mark.parametrize("kind", RIGS)
def test_attack_a_voucher_publishes_on_the_topics_of_others(
    tmp_path: Path, kind: type[Rig]
) -> None:
    rig = kind(tmp_path)
    try:
        for topic in (f"k1/{NODE}/up/report", f"k1/{VICTIM}/up/claim", f"k1/{NODE}/down/receipt"):
            credential = _credential(rig.pki)
            with rig.client(rig.pki.service) as fleet, rig.client(credential) as thief:
                assert fleet.connect()
                fleet.subscribe("k1/+/up/#")
                assert thief.connect()
                thief.publish(topic, b"forged")
                assert not fleet.receives(b"forged", 0.3), topic
    finally:
        rig.stop()


@pytest.mark.parametrize("kind", RIGS)
def test_a_voucher_claims_and_hears_its_answer(tmp_path: Path, kind: type[Rig]) -> None:
    rig = kind(tmp_path)
    try:
        credential = _credential(rig.pki)
        with rig.client(rig.pki.service) as fleet, rig.client(credential) as node:
            assert fleet.connect()
            fleet.subscribe("k1/+/up/claim")
            assert node.connect()
            node.subscribe(f"k1/{credential.cn}/down/#")
            node.publish(f"k1/{credential.cn}/up/claim", b"claim")
            assert fleet.receives(b"claim")
            fleet.publish(f"k1/{credential.cn}/down/claim", b"grant")
            assert node.receives(b"grant")
    finally:
        rig.stop()


@pytest.mark.parametrize("kind", RIGS)
def test_attack_a_voucher_hears_the_grant_of_another(tmp_path: Path, kind: type[Rig]) -> None:
    rig = kind(tmp_path)
    try:
        thief = _credential(rig.pki)
        with rig.client(rig.pki.service) as fleet, rig.client(thief) as ear:
            assert fleet.connect()
            assert ear.connect()
            for topic in ("k1/+/down/claim", f"k1/{VICTIM}/down/#", "#"):
                ear.subscribe(topic)
            fleet.publish(f"k1/{VICTIM}/down/claim", b"grant")
            assert not ear.receives(b"grant", 0.3)
    finally:
        rig.stop()


def test_attack_every_topic_that_a_voucher_may_not_use() -> None:
    claim_id = vouchers.draw_id()
    mine = {
        (Action.PUBLISH, f"k1/{claim_id}/up/claim"),
        (Action.RECEIVE, f"k1/{claim_id}/down/claim"),
        (Action.SUBSCRIBE, f"k1/{claim_id}/down/claim"),
        (Action.SUBSCRIBE, f"k1/{claim_id}/down/#"),
    }
    names = [
        f"k1/{who}/{way}"
        for who in (claim_id, VICTIM, NODE, "fleet", "+", "#", "")
        for way in ("up/claim", "up/report", "up/#", "down/claim", "down/#", "#", "+/claim")
    ] + ["#", "+/+/+/+", "$SYS/#", "$share/g/k1/+/up/claim"]
    for action in Action:
        for topic in names:
            assert allowed(claim_id, action, topic) == ((action, topic) in mine), (action, topic)


def test_sabotage_a_voucher_with_a_nodes_rules_may_send_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(permissions, "CLAIM_RULES", (Rule(True, "k1/+/up/#"),))
    assert allowed(vouchers.draw_id(), Action.PUBLISH, f"k1/{NODE}/up/report")


def test_attack_what_mosquitto_lets_a_voucher_write_to_itself_is_no_report() -> None:
    """Its patterns cannot tell a claim id from a node id: the fleet's own grammar does."""
    claim_id = vouchers.draw_id()
    assert topics.sender_of(f"k1/{claim_id}/up/claim") == claim_id
    for topic in (f"k1/{claim_id}/up/report", f"k1/{NODE}/up/claim", f"k1/{claim_id}/up/claim/x"):
        assert topics.sender_of(topic) is None


async def test_attack_a_report_under_a_vouchers_oscore_context(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (voucher,) = made.issue()
        async with made.coap() as link:
            node = made.by_coap(voucher)
            got = await link.ask(node, fleet_rig.make_report(1, [1]))
            assert wire.decode_grant(got.payload).reason == wire.MALFORMED
            polled = await link.ask(node)
            assert wire.decode_grant(polled.payload).reason == wire.MALFORMED
            assert not (await link.fetch(node, 1)).payload
            granted = await link.ask(node, Board().claim(voucher).payload or b"")
            assert int(granted.code) == CHANGED
        assert made.query("SELECT count(*) FROM readings") == [(0,)]
