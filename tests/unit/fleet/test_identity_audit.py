"""The audit finds what was put there, and nothing in a fleet that is well."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_rig import add_node, out, out_json, run
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from fleet import texts
from fleet.db.base import Database
from fleet.identity import audit, rotation
from fleet.identity.client import make_key_and_csr
from fleet.settings import load

NODE, OTHER = "1gntj14d2p", "1gntj14d2q"
DAY_US = 86400 * 1_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A fleet with two nodes that have a spare key."""
    folder = tmp_path / "data"
    out(folder, "init")
    out(folder, "area", "add", "440106", "Tianhe")
    for node in (NODE, OTHER):
        add_node(folder, node, "--oscore-out", tmp_path / f"{node}.osc")
        with writing(folder) as session:
            rotation.store_spare(session, node, spare(node))
    return folder


def spare(node: str) -> bytes:
    made = x509.load_pem_x509_csr(make_key_and_csr(node)[1])
    return made.public_bytes(Encoding.DER)


class writing:
    """A transaction on the data folder's database."""

    def __init__(self, data: Path) -> None:
        self._stack = self._open(data)

    def __enter__(self) -> Session:
        return next(self._stack)

    def __exit__(self, *_: object) -> None:
        next(self._stack, None)

    @staticmethod
    def _open(data: Path) -> Iterator[Session]:
        with closing(Database(load(data).database_url)) as database, database.begin() as session:
            yield session


def change(data: Path, statement: str, **values: Any) -> None:
    with writing(data) as session:
        session.execute(text(statement), values)


def findings(data: Path) -> list[tuple[str, str, str]]:
    result = run(data, "identity", "audit", "--json")
    import json

    found = [(f["check"], f["severity"], f["subject"]) for f in json.loads(result.stdout)]
    assert result.exit_code == int(any(severity == "critical" for _, severity, _ in found))
    return found


def test_a_fleet_that_is_well(data: Path) -> None:
    assert out_json(data, "identity", "audit") == []
    assert out(data, "identity", "audit", "--lang", "en") == "nothing to find fault with\n"


def test_certificates_that_end(data: Path) -> None:
    soon = "UPDATE certificates SET not_after_us = issued_us + :us WHERE subject = :node"
    change(data, soon, us=100 * DAY_US, node=NODE)
    assert findings(data) == [("ending", "warning", NODE)]
    change(data, soon, us=-DAY_US, node=NODE)
    assert findings(data) == [("ending", "critical", NODE)]
    change(data, soon, us=100 * DAY_US, node=NODE)
    change(data, "DELETE FROM spare_requests WHERE node_id = :node", node=NODE)
    assert findings(data) == [("ending", "critical", NODE), ("no-spare", "warning", NODE)]


def test_one_key_for_two(data: Path) -> None:
    change(
        data,
        "UPDATE spare_requests SET key_digest = (SELECT key_digest FROM certificates "
        "WHERE subject = :node) WHERE node_id = :other",
        node=NODE, other=OTHER,
    )  # fmt: skip
    assert findings(data) == [("shared", "critical", OTHER)]
    change(
        data,
        "UPDATE certificates SET key_digest = (SELECT key_digest FROM certificates "
        "WHERE subject = :node) WHERE subject = :other",
        node=NODE, other=OTHER,
    )  # fmt: skip
    assert ("shared", "critical", NODE) in findings(data)
    out(data, "node", "revoke", OTHER)
    assert ("shared", "critical", NODE) in findings(data), "history too"


@pytest.mark.parametrize("state", ["revoked", "retired"])
def test_credentials_of_who_is_gone(data: Path, state: str) -> None:
    change(data, "UPDATE terminals SET state = :state WHERE id = :node", state=state, node=NODE)
    assert findings(data) == [("alive", "critical", NODE), ("alive-key", "critical", NODE)]


def test_windows_that_are_not_known(data: Path) -> None:
    out(data, "node", "distrust", "--all")
    assert sorted(findings(data)) == [("untrusted", "warning", n) for n in (NODE, OTHER)]


def test_files(data: Path) -> None:
    pki = data / "pki"
    os.chmod(pki / "issuing.key", 0o644)
    (pki / "crl.pem").unlink()
    (pki / "server.crt").write_text("nothing")
    assert sorted(findings(data)) == [
        ("crl", "critical", "crl.pem"), ("missing", "critical", "server.crt"),
        ("readable", "critical", "issuing.key"),
    ]  # fmt: skip


def test_a_spare_that_is_bad(data: Path) -> None:
    change(data, "UPDATE spare_requests SET csr = :csr WHERE node_id = :node", csr=b"x", node=NODE)
    assert findings(data) == [("weak-spare", "critical", NODE)]


def test_a_weak_certificate(data: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa

    key, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    name = x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(900))
    raw = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (data / "pki" / "fleet.crt").write_bytes(raw)
    assert findings(data) == [("weak", "critical", "fleet.crt")]


def test_of_one_kind_there_are_not_too_many(data: Path) -> None:
    change(data, "DELETE FROM spare_requests")
    with writing(data) as session:
        for n in range(150):
            session.execute(
                text(
                    "INSERT INTO certificates (serial, subject, kind, active_for, issued_us, "
                    "not_after_us, fingerprint, key_digest) VALUES "
                    "(:s, :s, 'node', :s, 1, 9000000000000000, '', :s)"
                ),
                {"s": f"node{n}"},
            )
    found = findings(data)
    assert len(found) == 101
    assert found[-1] == ("no-spare", "warning", "…")


def test_tokens_and_cards_where_the_database_knows_them() -> None:
    with Session(create_engine("sqlite://")) as session:
        assert [*audit._tokens(session, 1), *audit._cards(session, 1)] == []
        for statement in (
            "CREATE TABLE claim_tokens (id INTEGER, expires_us INTEGER)",
            "INSERT INTO claim_tokens VALUES (7, 9000000000000000), (8, 1)",
            "CREATE TABLE terminals (id TEXT, iccid TEXT)",
            "INSERT INTO terminals VALUES ('a', '8986'), ('b', '8986'), ('c', '1'), ('d', NULL)",
        ):
            session.execute(text(statement))
        (token,), (card,) = audit._tokens(session, 1), audit._cards(session, 1)
    assert (token.subject, card.severity, card.detail["nodes"]) == ("7", "critical", "a, b")


def test_it_says_what_to_do_in_both_languages(data: Path) -> None:
    change(data, "UPDATE terminals SET state = 'revoked' WHERE id = :node", node=NODE)
    english = run(data, "identity", "audit", "--lang", "en").stdout.splitlines()
    assert english[0] == (
        f"critical: node {NODE} is revoked and has a certificate in force: "
        f"kapok node revoke {NODE}"
    )
    assert "严重" in run(data, "identity", "audit", "--lang", "zh").stdout


def test_every_check_has_its_advice() -> None:
    checks = {key.partition(".")[2] for key in texts.known() if key.startswith("audit.")}
    advice = {key.partition(".")[2] for key in texts.known() if key.startswith("advice.")}
    assert checks - {"clean"} == advice
