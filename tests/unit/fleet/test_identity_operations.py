"""Enrol and revoke: what the tables hold, and what two at once cannot do."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from fleet.db.base import Base, Database
from fleet.identity import operations
from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr
from fleet.identity.errors import IdentityError
from fleet.identity.revocation import RevokedSerials
from fleet.identity.tables import Certificate, RevokedSerial

NODE, OTHER = "1gntj14d2p", "1gntj14d2q"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'fleet.db'}")
    Base.metadata.create_all(database.engine, tables=[
        Base.metadata.tables["certificates"], Base.metadata.tables["revoked_serials"]
    ])  # fmt: skip
    yield database
    database.close()


@pytest.fixture
def pki(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "pki")


def enrol(database: Database, pki: Authority, node_id: str = NODE) -> int:
    with database.begin() as session:
        return operations.enrol(session, pki, make_key_and_csr(node_id)[1]).serial


def test_enrol_records_the_certificate(database: Database, pki: Authority) -> None:
    serial = enrol(database, pki)
    with database.read() as session:
        row = operations.certificates_of(session, NODE)[0]
        assert int(row.serial, 16) == serial
        assert (row.kind, row.active_for) == ("node", NODE)
        assert row.issued_us < row.not_after_us
        assert operations.revoked_serials(session) == set()


def test_attack_second_certificate_for_a_node(database: Database, pki: Authority) -> None:
    enrol(database, pki)
    with pytest.raises(IdentityError, match="revoke it first"):
        enrol(database, pki)
    with database.begin() as session:
        operations.revoke(session, NODE, "superseded")
    enrol(database, pki)


def test_an_expired_certificate_does_not_stand_in_the_way(
    database: Database, pki: Authority
) -> None:
    enrol(database, pki)
    with database.begin() as session:
        session.execute(update(Certificate).values(not_after_us=1))
    enrol(database, pki)


def test_attack_one_key_for_two_nodes(database: Database, pki: Authority) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    requests = []
    for node_id in (NODE, OTHER):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id)])
        made = x509.CertificateSigningRequestBuilder().subject_name(subject)
        requests.append(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    with database.begin() as session:
        operations.enrol(session, pki, requests[0])
    with pytest.raises(IdentityError, match="that of node"), database.begin() as session:
        operations.enrol(session, pki, requests[1])


def test_attack_two_enrolments_at_once(database: Database, pki: Authority) -> None:
    """The constraint decides: of many at once exactly one wins."""
    gate = threading.Barrier(6)
    results: list[object] = []

    def one() -> None:
        request = make_key_and_csr(NODE)[1]
        gate.wait(10)
        try:
            with database.begin() as session:
                results.append(operations.enrol(session, pki, request))
        except Exception as e:  # the loser may also meet the database's lock
            results.append(e)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with database.read() as session:
        assert len(operations.certificates_of(session, NODE)) == 1
    assert sum(not isinstance(result, Exception) for result in results) == 1


def test_revoke_by_node_and_by_serial(database: Database, pki: Authority) -> None:
    first, second = enrol(database, pki), enrol(database, pki, OTHER)
    with database.begin() as session:
        assert operations.revoke(session, NODE, "key-compromise") == [first]
        assert operations.revoke(session, NODE) == []
        assert operations.revoke(session, second) == [second]
        assert operations.revoke(session, operations.serial_text(second).upper()) == []
        assert operations.revoked_serials(session) == {first, second}
        entries = operations.revocation_list(session)
    assert [entry.serial for entry in entries] == [first, second]
    assert b"X509 CRL" in pki.crl(entries)


@pytest.mark.parametrize("which", [NODE, 12345, "", "' OR 1=1 --", "x" * 1000, "%"])
def test_revoke_of_the_unknown_is_one_line(database: Database, which: int | str) -> None:
    with pytest.raises(IdentityError) as caught, database.begin() as session:
        operations.revoke(session, which)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


def test_revoke_for_no_known_reason(database: Database, pki: Authority) -> None:
    enrol(database, pki)
    with pytest.raises(IdentityError, match="key-compromise"), database.begin() as session:
        operations.revoke(session, NODE, "because")


def test_an_expired_certificate_leaves_the_list(database: Database, pki: Authority) -> None:
    serial = enrol(database, pki)
    with database.begin() as session:
        operations.revoke(session, serial)
        session.execute(update(Certificate).values(not_after_us=1))
    with database.read() as session:
        assert operations.revocation_list(session) == []
        assert operations.revoked_serials(session) == {serial}


def test_the_live_set_follows_the_table(database: Database, pki: Authority) -> None:
    live = RevokedSerials()
    serials = [enrol(database, pki, f"1gntj14d{a}{b}") for a in "23" for b in "abcd"]
    for n, serial in enumerate(serials):
        assert not live(serial)
        with database.begin() as session:
            operations.revoke(session, serial)
        with database.read() as session:
            assert live.refresh(session) == 1
            assert live.refresh(session) == 0
        assert live(serial)
        assert len(live) == n + 1


def test_the_live_set_sees_a_row_that_becomes_visible_late(
    database: Database, pki: Authority
) -> None:
    """Two transactions may commit in the other order than they drew their identifiers."""
    serials = [enrol(database, pki, node) for node in (NODE, OTHER)]
    live = RevokedSerials()
    for identifier, serial in ((2, serials[1]), (1, serials[0])):
        with database.begin() as session:
            text = operations.serial_text(serial)
            session.add(
                RevokedSerial(id=identifier, serial=text, revoked_us=1, reason="unspecified")
            )
        with database.read() as session:
            live.refresh(session)
            assert session.scalars(select(RevokedSerial.id)).all()
    assert live(serials[0])
    assert live(serials[1])
