"""RFC 8613, appendix C, on both interpreters; the file of vectors against aiocoap."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiocoap import POST
from aiocoap import oscore as aiocoap_oscore
from oscore_peer import Peer, decoded, encoded

from tests.vm.oscore_vectors import Check

ROOT = Path(__file__).parents[3]
PATH = ROOT / "tests/vectors/rfc8613.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text())
ROWS = {row["name"]: row for kind in ("derivations", "requests") for row in VECTORS[kind]}
NAMES = [
    [row["name"] for row in VECTORS[kind]] for kind in ("derivations", "requests", "responses")
]


def octets(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def peer(name: str, number: int = 0) -> Peer:
    row = ROWS[name]
    fields = ("master_secret", "sender_id", "recipient_id", "master_salt")
    secret, sender, recipient, salt = (bytes.fromhex(row[field]) for field in fields)
    return Peer(secret, sender, recipient, number, salt, octets(row["id_context"]))


def test_the_file_has_every_vector_of_the_appendix() -> None:
    assert NAMES == [
        ["C.1.1", "C.1.2", "C.2.1", "C.2.2", "C.3.1", "C.3.2"],
        ["C.4", "C.5", "C.6"],
        ["C.7", "C.8"],
    ]


def test_the_firmware_makes_and_takes_every_vector() -> None:
    assert Check(VECTORS).run() == {"checked": 146, "bad": []}


def test_the_vm_makes_and_takes_every_vector(micropython: list[str]) -> None:
    script = str(ROOT / "tests/vm/oscore_vectors.py")
    ran = subprocess.run(
        [*micropython, script, str(ROOT / "firmware"), str(PATH)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"checked": 146, "bad": []}


def fields() -> list[tuple[str, int, str]]:
    """What is hexadecimal and follows from the rest: not the inputs."""
    inputs = {"master_secret", "master_salt", "id_context", "sender_id", "recipient_id"}
    inputs |= {"unprotected", "name", "client", "server", "request"}
    return [
        (kind, n, field)
        for kind in ("derivations", "requests", "responses")
        for n, row in enumerate(VECTORS[kind])
        for field, value in row.items()
        if field not in inputs and isinstance(value, str)
    ]


@pytest.mark.parametrize(("kind", "n", "field"), fields())
def test_a_vector_with_a_changed_octet_is_noticed(kind: str, n: int, field: str) -> None:
    changed = copy.deepcopy(VECTORS)
    row = changed[kind][n]
    row[field] = f"{bytes.fromhex(row[field] or '00')[0] ^ 1:02x}{row[field][2:]}"
    try:
        bad = Check(changed).run()["bad"]
    except Exception as e:
        bad = [type(e).__name__]  # a message that cannot be opened any more
    assert bad


@pytest.mark.parametrize("row", VECTORS["derivations"], ids=lambda row: row["name"])
def test_aiocoap_derives_the_same(row: dict[str, str]) -> None:
    made = peer(row["name"])
    for field in ("sender_key", "recipient_key", "common_iv"):
        assert getattr(made, field).hex() == row[field]
    for field, identifier in (("sender", made.sender_id), ("recipient", made.recipient_id)):
        nonce = made._construct_nonce(b"\0", identifier, made.alg_aead)
        assert nonce.hex() == row[f"{field}_nonce"]


@pytest.mark.parametrize("row", VECTORS["requests"], ids=lambda row: row["name"])
def test_aiocoap_protects_the_requests_alike(row: dict[str, Any]) -> None:
    message = decoded(bytes.fromhex(row["unprotected"]))
    outer, request = peer(row["client"], row["number"]).protect(message)
    assert encoded(outer, message).hex() == row["protected"]
    assert (request.kid.hex(), request.partial_iv.hex()) == (row["kid"], row["partial_iv"])


@pytest.mark.parametrize("row", VECTORS["responses"], ids=lambda row: row["name"])
def test_aiocoap_protects_the_responses_alike(row: dict[str, Any]) -> None:
    asked = ROWS[row["request"]]
    request = aiocoap_oscore.RequestIdentifiers(
        bytes.fromhex(asked["kid"]),
        bytes.fromhex(asked["partial_iv"]),
        can_reuse_nonce=row["number"] is None,
        request_code=POST,
    )
    message = decoded(bytes.fromhex(row["unprotected"]))
    outer, _ = peer(asked["server"], row["number"] or 0).protect(message, request)
    assert encoded(outer, message).hex() == row["protected"]
