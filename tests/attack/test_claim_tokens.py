"""A stolen, guessed, worn-out or misdirected claim token gets nothing, and learns nothing."""

import secrets
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from enrol_rig import NODE_TYPE, EnrolFleet
from sqlalchemy import update

from fleet.enrol import limits, routes
from fleet.enrol.limits import Limits
from fleet.identity import token_text, tokens
from fleet.identity.client import make_key_and_csr
from fleet.identity.secret import SecretBytes
from fleet.identity.token_tables import ClaimToken


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[EnrolFleet]:
    """A fleet that anybody may ask."""
    opened = EnrolFleet(tmp_path)
    yield opened
    opened.close()


def claim_body(token: str, node: str | None = None, **more: str) -> dict[str, str]:
    """A claim that a good token makes good."""
    node_id = node or rig.new_node_id()
    csr, spare = (make_key_and_csr(node_id)[1].decode() for _ in range(2))
    asked = {"token": token, "node": node_id, "type": NODE_TYPE, "csr": csr, "spare_csr": spare}
    return {**asked, **more}


def claim(fleet: EnrolFleet, token: str, **more: str) -> tuple[int, str]:
    """The answer to a claim: status and detail."""
    response = fleet.http.post("/enrol/claim", json=claim_body(token, **more))
    return response.status_code, response.json().get("detail", "")


def registered(fleet: EnrolFleet) -> int:
    """How many nodes and certificates there are."""
    counts = (
        rig.query(fleet.folder / "kapok.db", f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
        for table in ("terminals", "certificates", "oscore_contexts", "node_hmac_keys")
    )
    return sum(counts)


def guess(fleet: EnrolFleet) -> str:
    """A token of this fleet whose secret is wrong."""
    digest = token_text.fleet_digest(fleet.authority.root_der)
    return token_text.encode(token_text.draw(digest))


def expire(fleet: EnrolFleet) -> None:
    """Let all tokens be of last week."""
    with fleet.database.begin() as session:
        session.execute(update(ClaimToken).values(expires_us=1))


def revoke(fleet: EnrolFleet) -> None:
    """A laptop was stolen."""
    with fleet.database.begin() as session:
        tokens.revoke(session, tokens.of_person("Li Wei"))


def test_unknown_expired_revoked_and_foreign_tokens_get_one_answer(fleet: EnrolFleet) -> None:
    answers = {claim(fleet, guess(fleet))}
    expired = fleet.token()
    expire(fleet)
    answers.add(claim(fleet, expired))
    revoked = fleet.token()
    revoke(fleet)
    answers.add(claim(fleet, revoked))
    foreign = token_text.TokenText(SecretBytes(secrets.token_bytes(16)), bytes(16))
    answers.add(claim(fleet, token_text.encode(foreign)))
    answers.add(claim(fleet, "kpk1-nonsense"))
    ((status, detail),) = answers
    assert status == 401
    assert "not accepted" in detail
    assert registered(fleet) == 0


def test_sabotage_without_the_conditions_a_stolen_laptop_goes_on(
    fleet: EnrolFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = fleet.token()
    revoke(fleet)
    expire(fleet)
    monkeypatch.setattr(tokens, "_good", lambda now: ())
    assert claim(fleet, token)[0] == 200


def test_a_refusal_takes_as_long_whatever_is_wrong(fleet: EnrolFleet) -> None:
    revoked = [fleet.token() for _ in range(8)]
    revoke(fleet)
    kinds = {"unknown": [guess(fleet) for _ in range(8)], "revoked": revoked}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for pair in zip(*kinds.values(), strict=True):
        for kind, token in zip(kinds, pair, strict=True):
            body = claim_body(token)
            began = time.perf_counter()
            fleet.http.post("/enrol/claim", json=body)
            times[kind].append(time.perf_counter() - began)
    assert min(min(taken) for taken in times.values()) >= routes.REFUSAL_S
    unknown, known = (statistics.median(taken) for taken in times.values())
    assert abs(unknown - known) < routes.REFUSAL_S / 2


def test_a_guesser_is_stopped_and_others_are_not(tmp_path: Path) -> None:
    now = [1000.0]
    held = Limits(lambda: now[0])
    tried = 0
    while held.admit("192.0.2.1"):
        held.refused("192.0.2.1")
        tried += 1
    assert tried == limits.ADDRESS.burst / limits.REFUSED
    assert held.admit("192.0.2.2")
    now[0] += 60
    tried = 0
    while held.admit("192.0.2.1"):
        held.refused("192.0.2.1")
        tried += 1
    assert tried <= 20
    assert not held.admit("192.0.2.1")
    # One host has all of a /64.
    while held.admit(f"2001:db8::{tried:x}"):
        held.refused(f"2001:db8::{tried:x}")
        tried += 1
    assert not held.admit("2001:db8::ffff:1")


def test_a_flood_is_answered_429(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "REFUSAL_S", 0.0)
    fleet = EnrolFleet(tmp_path, Limits(lambda: 0.0))
    codes = [claim(fleet, guess(fleet))[0] for _ in range(24)]
    assert codes == [401] * 20 + [429] * 4
    fleet.close()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"type": "drainage"}, "is for gas-meter nodes, not for drainage"),
        ({"area": "440305"}, "is for area 440106, not for 440305"),
        ({"area": "4401"}, "is for area 440106, not for 4401"),
        ({"area": "440106009"}, "area 440106009 is unknown"),
    ],
)
def test_a_token_reaches_no_other_area_or_type(
    fleet: EnrolFleet, wrong: dict[str, str], says: str
) -> None:
    status, detail = claim(fleet, fleet.token(), **wrong)
    assert (status, says in detail) == (403, True), detail
    assert registered(fleet) == 0
    assert fleet.used() == 0


def test_a_node_of_another_area_is_not_taken_over(fleet: EnrolFleet) -> None:
    node = rig.new_node_id()
    assert claim(fleet, fleet.token(area="440305"), node=node)[0] == 200
    for policy in ("keep-identity", "keep-history", "new"):
        status, detail = claim(fleet, fleet.token(), node=node, policy=policy, area=rig.AREA)
        assert (status, "is for area 440106" in detail) == (403, True), detail


def test_a_count_that_is_used_up_stays_so(fleet: EnrolFleet) -> None:
    token = fleet.token(2)
    assert [claim(fleet, token)[0] for _ in range(4)] == [200, 200, 403, 403]
    assert "all boards of the token are provisioned" in claim(fleet, token)[1]


def test_a_request_of_another_node_is_refused(fleet: EnrolFleet) -> None:
    token, other = fleet.token(), rig.new_node_id()
    body = {**claim_body(token), "node": other}
    assert fleet.http.post("/enrol/claim", json=body).status_code == 403
    body = claim_body(token)
    body["spare_csr"] = body["csr"]
    assert "both CSRs are of one key" in fleet.http.post("/enrol/claim", json=body).text
    assert registered(fleet) == 0
    assert fleet.used() == 0


def test_a_key_of_another_node_is_refused(fleet: EnrolFleet) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    token, victim, clone = fleet.token(2), rig.new_node_id(), rig.new_node_id()
    key, csr = make_key_and_csr(victim)
    body = {**claim_body(token, victim), "csr": csr.decode()}
    assert fleet.http.post("/enrol/claim", json=body).status_code == 200
    private: Any = serialization.load_der_private_key(key, None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, clone)])
    stolen = (
        x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA256())
    )
    pem = stolen.public_bytes(serialization.Encoding.PEM).decode()
    response = fleet.http.post("/enrol/claim", json={**claim_body(token, clone), "csr": pem})
    assert (response.status_code, "is that of node" in response.text) == (403, True)


def test_a_confirmation_of_somebody_else_s_claim_is_refused(fleet: EnrolFleet) -> None:
    body = claim_body(fleet.token())
    serial = fleet.http.post("/enrol/claim", json=body).json()["serial"]
    other = {"token": fleet.token(), "node": body["node"], "serial": serial}
    assert fleet.http.post("/enrol/confirm", json=other).status_code == 403
    assert fleet.certificates(body["node"])[0] == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{}", b'{"token": 1}', b"\xff\xfe", b"[" * 10_000,
        b'{"token": "x", "node": "0000000000", "type": "gas-meter", "more": 1}',
        b'{"token": "x", "node": "../../etc/", "type": "gas-meter"}',
        b'{"token": "x", "node": "0000000000", "type": "gas-meter", "hmac": "zz"}',
    ],
)  # fmt: skip
def test_a_body_that_is_not_as_described_is_refused(fleet: EnrolFleet, body: bytes) -> None:
    for what in ("look", "claim", "confirm"):
        response = fleet.http.post(f"/enrol/{what}", content=body)
        assert response.status_code == 422
        assert "x" * 20 not in response.text


def test_a_refused_body_does_not_repeat_the_token(fleet: EnrolFleet) -> None:
    token = fleet.token()
    response = fleet.http.post("/enrol/claim", json={"token": token + "y" * 100, "node": token})
    assert response.status_code == 422
    assert token[5:] not in response.text


def test_an_endless_body_is_cut(fleet: EnrolFleet) -> None:
    response = fleet.http.post("/enrol/claim", content=b"x" * 1_000_000)
    assert response.status_code == 413
