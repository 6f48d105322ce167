"""The node's OSCORE and aiocoap's, each as the other's peer."""

import itertools
from typing import Any

import pytest
from aiocoap import CHANGED, POST, Message
from aiocoap.oscore import ProtectionInvalid, ReplayError
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import OscoreError
from node.link import oscore
from node.link.oscore_server import Server
from oscore_peer import Peer

SECRETS = st.binary(min_size=16, max_size=16)
KIDS = st.binary(min_size=1, max_size=3)
SALTS = st.binary(max_size=8)
CONTEXTS = st.none() | st.binary(max_size=10)
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, (1 << 40) - 3))
PAYLOADS = st.binary(max_size=200)


def counter(first: int = 0) -> Any:
    return itertools.count(first).__next__


def plain(code: int, payload: bytes) -> bytes:
    return bytes((code,)) + (b"\xff" + payload if payload else b"")


@given(SECRETS, KIDS, SALTS, CONTEXTS, NUMBERS, PAYLOADS, PAYLOADS, st.booleans())
@settings(max_examples=60)
def test_aiocoap_serves_the_node(
    secret: bytes,
    kid: bytes,
    salt: bytes,
    id_context: bytes | None,
    number: int,
    asked: bytes,
    told: bytes,
    own: bool,
) -> None:
    node = oscore.Context(secret, kid, b"", counter(number), salt, id_context)
    fleet = Peer(secret, b"", kid, 7, salt, id_context)
    option, cipher, request = node.seal(plain(POST, asked))
    message, taken = fleet.unseal(POST, option, cipher)
    assert (message.code, message.payload) == (POST, asked)
    with pytest.raises(ReplayError):
        fleet.unseal(POST, option, cipher)
    taken.can_reuse_nonce = not own
    option, cipher, _ = fleet.seal(Message(code=CHANGED, payload=told), taken)
    assert option == (b"\x01\x07" if own else b"")
    assert node.open(request, option, cipher) == plain(CHANGED, told)


@given(SECRETS, KIDS, SALTS, CONTEXTS, NUMBERS, PAYLOADS, PAYLOADS, st.booleans())
@settings(max_examples=60)
def test_the_node_s_code_serves_aiocoap(
    secret: bytes,
    kid: bytes,
    salt: bytes,
    id_context: bytes | None,
    number: int,
    asked: bytes,
    told: bytes,
    own: bool,
) -> None:
    client = Peer(secret, kid, b"", number, salt, id_context)
    server = Server(secret, b"", kid, counter(7), salt, id_context)
    option, cipher, request = client.seal(Message(code=POST, payload=asked))
    taken, opened = server.open_request(option, cipher)
    assert opened == plain(POST, asked)
    option, cipher = server.seal_response(taken, plain(CHANGED, told), own)
    message, _ = client.unseal(CHANGED, option, cipher, request)
    assert (message.code, message.payload) == (CHANGED, told)


@given(SECRETS, PAYLOADS, st.data())
@settings(max_examples=60)
def test_both_refuse_the_same_flipped_bits(
    secret: bytes, payload: bytes, data: st.DataObject
) -> None:
    node = oscore.Context(secret, b"\x01\x02\x03", b"", counter())
    option, cipher, _ = node.seal(plain(POST, payload))
    at = data.draw(st.integers(0, len(cipher) * 8 - 1))
    flipped = bytearray(cipher)
    flipped[at // 8] ^= 1 << at % 8
    with pytest.raises(ProtectionInvalid):
        Peer(secret, b"", b"\x01\x02\x03").unseal(POST, option, bytes(flipped))
    with pytest.raises(OscoreError):
        Server(secret, b"", b"\x01\x02\x03", counter()).open_request(option, bytes(flipped))
