"""Rotation of certificates: spare keys, what is due, and when the old one ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from ingest_rig import NODE, OTHER, message, node_ids, open_database, report_of
from sqlalchemy import select, text, update

from fleet.alarms import operations as alarms
from fleet.control import operations as control
from fleet.db.base import Database
from fleet.identity import operations as identity
from fleet.identity import rotation
from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr
from fleet.identity.errors import IdentityError
from fleet.identity.tables import Certificate, RevokedSerial, SpareRequest
from fleet.identity.wrapping import FileKey
from fleet.registry import operations as registry
from fleet.uplink.ingest import Ingest
from fleet.wire import cbor, receipt

DAY_US = 86400 * 1_000_000
WRAPPER = FileKey(Path("wrapping.key"), bytes(32))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    yield database
    database.close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("fleet") / "pki")


def der(node: str) -> bytes:
    return x509.load_pem_x509_csr(make_key_and_csr(node)[1]).public_bytes(Encoding.DER)


def add(database: Database, pki: Authority, node: str = NODE) -> int:
    """Enrol a node with a spare key; its serial."""
    with database.begin() as session:
        issued = identity.enrol(session, pki, make_key_and_csr(node)[1])
        rotation.store_spare(session, node, der(node))
    return issued.serial


def rotate(database: Database, pki: Authority, node: str = NODE) -> int:
    with database.begin() as session:
        return rotation.rotate(session, pki, node)


def states(database: Database, node: str = NODE) -> list[str]:
    """Of a node's certificates, oldest first."""
    with database.read() as session:
        revoked = set(session.scalars(select(RevokedSerial.serial)))
        found = reversed(identity.certificates_of(session, node))
        return [
            "revoked" if c.serial in revoked else "live" if c.active_for else "next"
            for c in found
        ]  # fmt: skip


def tell(database: Database, handled: int, refused: int = 0, node: str = NODE) -> bytes | None:
    """A report that tells what the node did with its items; its receipt."""
    status = {14: handled, 15: refused} if handled else {}
    payload = report_of([handled * 10 + refused + 1], status=status)
    (outcome,) = Ingest(database, WRAPPER).process([message(payload, node)])
    return outcome.receipt


def open_alarms(database: Database) -> int:
    with database.read() as session:
        return alarms.open_counts(session)["rotation"]


def test_a_spare_is_another_key_of_the_same_node(database: Database, pki: Authority) -> None:
    add(database, pki)
    with database.begin() as session:
        for csr, says in ((der(OTHER), f"one of {OTHER}"), (b"", "does not parse"),
                          (b"\0" * 5000, "4096")):  # fmt: skip
            with pytest.raises(IdentityError, match=says):
                rotation.store_spare(session, NODE, csr)
        request = make_key_and_csr(OTHER)[1]
        identity.enrol(session, pki, request)
        same = x509.load_pem_x509_csr(request).public_bytes(Encoding.DER)
        with pytest.raises(IdentityError, match="known already"):
            rotation.store_spare(session, OTHER, same)
    with database.begin() as session:
        spare = der(NODE)
        rotation.store_spare(session, NODE, spare)
        rotation.store_spare(session, NODE, spare)
        assert len(session.scalars(select(SpareRequest)).all()) == 1


def test_the_receipt_carries_it_and_the_answer_ends_the_old(
    database: Database, pki: Authority
) -> None:
    add(database, pki)
    number = rotate(database, pki)
    assert rotate(database, pki) == number, "while it is on its way"
    raw = tell(database, 0)
    assert raw is not None
    ((given, kind, payload),) = receipt.decode(raw).items
    assert (given, kind) == (number, receipt.CERTIFICATE)
    certificates = cbor.decode(payload)
    assert isinstance(certificates, list)
    assert states(database) == ["live", "next"]
    tell(database, number)
    assert states(database) == ["revoked", "live"]
    with database.read() as session:
        live = session.scalar(select(Certificate.serial).where(Certificate.active_for == NODE))
        assert live is not None
        assert int(live, 16) == x509.load_der_x509_certificate(certificates[0]).serial_number
        assert session.scalars(select(SpareRequest)).all() == []
    with pytest.raises(IdentityError, match="next visit"):
        rotate(database, pki)


def test_a_refusal_leaves_the_old_one_and_is_told(database: Database, pki: Authority) -> None:
    add(database, pki)
    number = rotate(database, pki)
    tell(database, number, number)
    assert states(database) == ["live", "next"]
    assert open_alarms(database) == 1


def test_a_later_refusal_hides_this_one_so_only_use_counts(
    database: Database, pki: Authority
) -> None:
    add(database, pki)
    number = rotate(database, pki)
    with database.begin() as session:
        later = control.enqueue(session, NODE, control.COMMAND, b"x")
    tell(database, later, later)
    assert states(database) == ["live", "next"], "the node may have refused both"
    with database.begin() as session:
        serial = session.scalar(select(Certificate.serial).where(Certificate.next_for == NODE))
        assert serial is not None
        assert rotation.awaited(session, [1, int(serial, 16)]) == [int(serial, 16)]
        assert rotation.used_serials(session, [1, int(serial, 16)]) == [NODE]
        assert not rotation.used(session, NODE, int(serial, 16))
    assert states(database) == ["revoked", "live"]
    assert number < later


def test_a_node_ahead_of_a_restored_database_keeps_its_certificate(
    database: Database, pki: Authority
) -> None:
    """It handles no number that it has had, and says that it is past this one."""
    add(database, pki)
    first = rotate(database, pki)
    for _ in range(2):
        tell(database, first + 10)
        assert states(database) == ["live", "next"]
    number = rotate(database, pki)
    assert number == first + 11
    assert states(database) == ["live", "revoked", "next"]
    tell(database, number)
    assert states(database) == ["revoked", "revoked", "live"]


def test_a_certificate_revoked_meanwhile_is_not_given(database: Database, pki: Authority) -> None:
    add(database, pki)
    rotate(database, pki)
    with database.begin() as session:  # a technician provisions it anew
        identity.issue_next(session, pki, make_key_and_csr(NODE)[1])
    raw = tell(database, 0)
    assert raw is not None
    assert receipt.decode(raw).items == []


def test_what_ends_soonest_is_rotated_first_and_once(database: Database, pki: Authority) -> None:
    nodes = node_ids(7)
    for place, node in enumerate(nodes):
        with database.begin() as session:
            registry.add_node(session, node, "drainage", "440106")
        add(database, pki, node)
        with database.begin() as session:
            session.execute(
                update(Certificate)
                .where(Certificate.subject == node)
                .values(not_after_us=registry.now_us() + (100 - 10 * place) * DAY_US)
            )
    with database.begin() as session:
        assert rotation.rotate_due(session, pki, 65 * DAY_US, limit=2) == [nodes[6], nodes[5]]
        assert rotation.rotate_due(session, pki, 65 * DAY_US, limit=9) == [nodes[4]]
        assert rotation.rotate_due(session, pki, 65 * DAY_US) == []
        session.execute(text("DELETE FROM spare_requests"))
        assert rotation.rotate_due(session, pki, 1000 * DAY_US) == []
        assert [n for n, _ in rotation.without_spare(session, 1 << 62, 3)] == nodes[:3:-1]


def test_nobody_enumerates_the_fleet_for_it(database: Database) -> None:
    with database.read() as session:
        plan = session.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT s.node_id FROM spare_requests s JOIN certificates c "
                "ON c.active_for = s.node_id WHERE s.serial IS NULL AND c.not_after_us < 1 "
                "ORDER BY c.not_after_us LIMIT 50"
            )
        ).all()
    lines = [row[3] for row in plan]
    assert any("ix_certificates_not_after_us" in line for line in lines), lines
    assert not any(line.startswith("SCAN") for line in lines), lines
