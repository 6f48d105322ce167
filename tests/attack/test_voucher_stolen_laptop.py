"""A laptop with vouchers is stolen: one command ends them, by every door, live sessions too."""

from pathlib import Path

import coap_rig
import pytest
from broker_rig import EmbeddedRig, Pki
from claims_rig import PERSON, Board, Desk, desk
from mqtt_peers import Credential

from fleet.identity import claims as claims_module
from fleet.identity import client, oscore, vouchers
from fleet.identity.tables import Voucher
from fleet.wire import claim as wire

CHANGED, UNAUTHORIZED = 0x44, 0x81


def _revoke(made: Desk, person: str = PERSON) -> list[vouchers.Shown]:
    with made.database.begin() as session:
        return vouchers.revoke(session, person=person)


def test_attack_a_stolen_voucher_claims_after_the_revocation(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        stolen, other = made.issue(2), made.issue(person="li")
        ended = _revoke(made)
        assert {one.claim_id for one in ended} == set(stolen)
        for voucher in stolen:
            assert made.ask(Board(), voucher).reason == wire.UNKNOWN
            assert made.state(voucher) == "revoked"
        assert made.ask(Board(), other[0]).reason == 0
        assert _revoke(made) == []


def test_sabotage_an_ingest_that_does_not_look_lets_it_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(session: object, claim_id: str) -> Voucher:
        found = session.get(Voucher, claim_id)  # type: ignore[attr-defined]
        assert isinstance(found, Voucher)
        return found

    with desk(tmp_path) as made:
        (stolen,) = made.issue()
        _revoke(made)
        monkeypatch.setattr(claims_module, "_live", blind)
        assert made.ask(Board(), stolen).reason == 0


def test_a_node_that_had_claimed_keeps_its_identity_and_is_named(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        claimed, fresh = sorted(made.issue(2))
        board = Board()
        made.ask(board, claimed)
        ended = {one.claim_id: (one.state, one.node_id) for one in _revoke(made)}
        assert ended == {claimed: ("claimed", board.node_id), fresh: ("revoked", None)}
        assert made.ask(board, claimed).reason == wire.UNKNOWN
        with made.database.read() as session:
            assert len(oscore.find(session, coap_rig.WRAPPER, [made.made[fresh].kid])) == 0


def test_attack_the_live_session_of_a_stolen_voucher_goes_on(tmp_path: Path) -> None:
    rig = EmbeddedRig(tmp_path)
    try:
        credential = claim_credential(rig.pki)
        with rig.client(credential) as thief:
            assert thief.connect()
            rig.revoke(credential)
            assert thief.ended.wait(60)
            with rig.client(credential) as again:
                assert not again.connect()
    finally:
        rig.stop()


def claim_credential(pki: Pki) -> Credential:
    """What a laptop has of a voucher, as files."""
    claim_id = vouchers.draw_id()
    key, request = client.make_claim_key_and_csr(claim_id)
    issued = pki.authority.issue_claim(request)
    return pki._write(claim_id, client.key_pem(key), issued.pem, issued.serial)


async def test_attack_a_stolen_voucher_comes_by_coap(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (first, stolen) = made.issue(2)
        async with made.coap() as link:
            thief = Board()
            got = await link.ask(made.by_coap(first), thief.claim(first).payload or b"")
            assert int(got.code) == CHANGED
            node = made.by_coap(stolen)
            assert int((await link.ask(node, b"no claim yet")).code) == CHANGED
            _revoke(made)
            for sent in (thief, Board()):
                refused = await link.ask(node, sent.claim(stolen).payload or b"")
                assert int(refused.code) == UNAUTHORIZED
                assert refused.opt.oscore is None
        assert made.state(stolen) == "revoked"
