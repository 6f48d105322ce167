"""A voucher becomes an identity: once, for the node that it is bound to, with the same answer."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from claims_rig import PERSON, Board, Desk, desk
from coap_rig import WRAPPER
from cryptography import x509
from structlog.testing import capture_logs

from fleet.identity import claims, operations, oscore, vouchers
from fleet.identity.errors import IdentityError
from fleet.identity.wrapping import WrappingError
from fleet.registry import operations as registry
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Claim, Message
from fleet.wire import cbor
from fleet.wire import claim as wire


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def test_a_claim_registers_the_node_and_gives_it_all_its_keys(made: Desk) -> None:
    (voucher,) = made.issue()
    board = Board()
    grant = made.ask(board, voucher)
    certificate = x509.load_der_x509_certificate(grant.certificate)
    assert certificate.subject.rfc4514_string() == f"CN={board.node_id}"
    request = x509.load_der_x509_csr(board.csr)
    assert certificate.public_key() == request.public_key()
    assert len(grant.hmac) == 32
    with made.database.read() as session:
        node = registry.show_node(session, board.node_id)
        (context,) = oscore.find(session, WRAPPER, [grant.oscore[0]]).values()
    assert (node.state, node.role, node.area) == ("active", "drainage", rig.AREA)
    assert node.asset_id is not None
    assert (context.node_id, bytes(context.secret)) == (board.node_id, grant.oscore[1])
    assert made.state(voucher) == "claimed"


def test_the_same_claim_gets_the_same_bytes_again(made: Desk) -> None:
    (voucher,) = made.issue()
    board = Board()
    sent = board.claim(voucher)
    answers = {outcome.receipt for outcome in made.ingest.process([sent, sent])}
    answers |= {outcome.receipt for outcome in made.another_ingest().process([sent])}
    assert len(answers) == 1
    (count,) = made.query("SELECT count(*) FROM certificates WHERE kind = 'node'")[0]
    assert count == 1


def test_the_first_report_ends_the_voucher(made: Desk) -> None:
    (voucher,) = made.issue()
    board = Board()
    made.ask(board, voucher)
    (outcome,) = made.ingest.process([rig.message(board.node_id, rig.make_report(1, [1]))])
    assert outcome.kind == "stored"
    assert made.state(voucher) == "used"
    with made.database.read() as session:
        assert oscore.find(session, WRAPPER, [made.made[voucher].kid]) == {}
        serial = x509.load_der_x509_certificate(made.made[voucher].certificate).serial_number
        assert serial in operations.revoked_serials(session)
    with capture_logs() as logs:
        assert made.ask(board, voucher).reason == wire.UNKNOWN
    assert [one["log_level"] for one in logs] == ["warning"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"role": "lamppost"}, wire.FOREIGN),
        ({"csr": b"\x30\x00"}, wire.FOREIGN),
        ({"csr": Board().csr}, wire.FOREIGN),
        ({"spare": Board().csr}, wire.FOREIGN),
    ],
)
def test_a_claim_outside_its_bounds_leaves_nothing_behind(
    made: Desk, other: dict[str, object], reason: int
) -> None:
    (voucher,) = made.issue()
    board = Board()
    before = made.nodes()
    assert made.ask(board, voucher, **other).reason == reason
    assert made.nodes() == before
    assert made.state(voucher) == "fresh"
    assert made.ask(board, voucher).reason == 0


@pytest.mark.parametrize("payload", [b"", b"\xa0", rig.make_report(1, [1]), bytes(2000)])
def test_what_is_no_claim_is_answered_so_and_stored_nowhere(made: Desk, payload: bytes) -> None:
    (voucher,) = made.issue()
    (outcome,) = made.ingest.process([Message(voucher, payload, rig.NOW_US)])
    assert outcome.receipt == wire.encode_refusal(wire.MALFORMED)
    assert made.query("SELECT count(*) FROM dead_letters") == [(0,)]
    assert made.query("SELECT count(*) FROM readings") == [(0,)]


def test_an_unknown_voucher_and_one_whose_time_is_over(
    made: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (voucher,) = made.issue(days=1)
    assert made.ask(Board(), vouchers.draw_id()).reason == wire.UNKNOWN
    later = vouchers.now_us() + 2 * 86_400_000_000
    monkeypatch.setattr(vouchers, "now_us", lambda: later)
    assert made.ask(Board(), voucher).reason == wire.EXPIRED
    assert made.state(voucher) == "expired"
    made.issue()  # which forgets the keys of those
    with made.database.read() as session:
        assert oscore.find(session, WRAPPER, [made.made[voucher].kid]) == {}


def test_a_voucher_that_was_told_of_serves_its_node_and_no_other(made: Desk) -> None:
    (voucher,) = made.issue()
    board = Board()
    with made.database.begin() as session:
        assert claims.announce(session, PERSON, voucher, board.node_id) == "pending"
        assert claims.announce(session, PERSON, voucher, board.node_id) == "pending"
    assert made.state(voucher) == "bound"
    (early,) = made.ingest.process([rig.message(board.node_id, rig.make_report(1, [1]))])
    assert early.kind == "refused"
    assert made.ask(Board(), voucher).reason == wire.USED
    assert made.ask(board, voucher).reason == 0
    with made.database.begin() as session:
        assert registry.show_node(session, board.node_id).state == "active"
        assert claims.announce(session, PERSON, voucher, board.node_id) == "active"
        with pytest.raises(IdentityError, match="is of node"):
            claims.announce(session, PERSON, voucher, rig.new_node_id())
        with pytest.raises(IdentityError, match="has no voucher"):
            claims.announce(session, "li", voucher, board.node_id)


def test_a_board_that_was_erased_is_claimed_anew_once_its_laptop_has_told(
    made: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = made.issue(2)
    board = Board()
    before = made.ask(board, first)
    made.ingest.process([rig.message(board.node_id, rig.make_report(1, [1]))])
    again = Board(board.node_id)
    assert made.ask(again, second).reason == wire.TAKEN
    with made.database.begin() as session:
        claims.announce(session, PERSON, second, board.node_id)
    after = made.ask(again, second)
    with made.database.read() as session:
        old = x509.load_der_x509_certificate(before.certificate).serial_number
        assert old in operations.revoked_serials(session)
        assert oscore.find(session, WRAPPER, [before.oscore[0]]) == {}
        assert set(oscore.find(session, WRAPPER, [after.oscore[0]])) == {after.oscore[0]}
    # A report of its life before may still be on its way: it must not end the voucher.
    made.ingest.process([rig.message(board.node_id, rig.make_report(1, [2]))])
    assert made.ask(again, second) == after
    # Later none is on its way any more, and the voucher must not hand out keys for ever.
    monkeypatch.setattr(claims, "IN_FLIGHT_US", 0)
    made.ingest.process([rig.message(board.node_id, rig.make_report(2, [1]))])
    assert made.state(second) == "used"
    assert made.ask(again, second).reason == wire.UNKNOWN


def test_by_coap_the_grant_is_fetched(made: Desk) -> None:
    (voucher,) = made.issue()
    board = Board()
    kid = made.made[voucher].kid
    with made.database.read() as session:
        context = oscore.find(session, WRAPPER, [kid])[kid].id
    sent = board.claim(voucher)
    (asked,) = made.ingest.process([sent._replace(claim=Claim(context, 0))])
    size = cbor.decode(asked.receipt or b"")
    fetch = Message(voucher, None, rig.NOW_US, Claim(context, 1), 1)
    (fetched,) = made.ingest.process([fetch])
    assert len(fetched.item or b"") == size
    assert wire.decode_grant(fetched.item or b"").reason == 0
    (other,) = made.ingest.process([fetch._replace(claim=Claim(context, 2), wanted=2)])
    assert other.item is None
    (again,) = made.ingest.process([fetch])
    assert again.kind == "replayed"
    refused = Board().claim(voucher)._replace(claim=Claim(context, 3))
    (told,) = made.ingest.process([refused])
    assert wire.decode_grant(told.receipt or b"").reason == wire.USED


def test_a_fleet_that_cannot_sign_or_open_says_later(
    made: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (voucher,) = made.issue()
    board = Board()
    (outcome,) = Ingest(made.database, WRAPPER).process([board.claim(voucher)])
    assert outcome.receipt == wire.encode_refusal(wire.LATER)

    def gone(*_: object) -> bytes:
        raise WrappingError("the token is gone")

    with monkeypatch.context() as broken:
        broken.setattr(type(WRAPPER), "wrap", gone)
        assert made.ask(board, voucher).reason == wire.LATER
    assert made.ask(board, voucher).reason == 0


def test_one_refusal_spoils_nothing_else_in_its_batch(made: Desk) -> None:
    first, second = made.issue(2)
    good, bad = Board(), Board()
    (node_id,) = rig.add_nodes(made.database, 1)
    batch = [
        bad.claim(first, role="lamppost"),
        good.claim(second),
        rig.message(node_id, rig.make_report(1, [1])),
    ]
    kinds = [outcome.kind for outcome in made.ingest.process(batch)]
    assert kinds == ["claimed", "claimed", "stored"]
    assert (made.state(first), made.state(second)) == ("fresh", "claimed")
