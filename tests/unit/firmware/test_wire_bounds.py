"""The least and the most of every field on the wire: both are taken, and nothing beyond them."""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.wire import cbor, claim, command, release
from fleet.wire.report import ReportError

Fields = list[Any]
MAC = bytes(16)
WORD = 0xFFFFFFFF
BAD_MACS = [bytes(15), bytes(17), "0123456789abcdef", None]

# A good array, and by place what is taken there and what is not.
COMMAND: Fields = [1, [2], 3, 4, MAC]
COMMANDS: dict[int, tuple[list[Any], list[Any]]] = {
    0: ([1, 255], [0, 256, True, None, "1"]),
    1: (
        [[], [0] * 4, [-0x80000000], [WORD]],
        [[0] * 5, [-0x80000001], [WORD + 1], [True], 1, None, ["1"]],
    ),
    2: ([1, 0x3FFFFFFF], [0, 0x40000000, True, None]),
    3: ([0, WORD], [-1, WORD + 1, True, None]),
    4: ([bytes(16)], BAD_MACS),
}
ENVELOPE = 100
ASSIGNMENT: Fields = [7, bytes(16), 4, ENVELOPE + 20, [[0, 0, 20, b""]], MAC]
ASSIGNMENTS: dict[int, tuple[list[Any], list[Any]]] = {
    0: ([1, release.MAX_SEQUENCE], [release.MAX_SEQUENCE + 1, -1, True, None]),
    1: ([bytes(16)], [bytes(15), bytes(17), b"", None]),
    2: ([0, WORD], [-1, WORD + 1, True]),
    3: ([20, 0xFFFFFF], [19, 0x1000000, -1, True]),
    4: (
        [
            [[0, 0, 20, b""]],
            [[release.KEYS, release.PLAIN, 0, b""]],
            [[0, release.FETCHED, 0, b""]],
            [[0, release.DELTA, 20, bytes(8)]],
            [[0, 0, 30, b""]] * 4,
        ],
        [
            [],
            [[0, 0, 1, b""]] * 5,
            [[release.KEYS + 1, 0, 20, b""]],
            [[0, release.FETCHED + 1, 20, b""]],
            [[0, 0, -1, b""]],
            [[0, 0, 0x1000000, b""]],
            [[0, 0, 20, bytes(8)]],
            [[0, release.DELTA, 20, b""]],
            [[0, release.DELTA, 20, bytes(7)]],
            [[0, release.DELTA, 20, bytes(9)]],
            [[0, 0, 20]],
            [[0, 0, 20, b"", 0]],
            [[0, 0, 60, b""], [0, 0, 61, b""]],  # more than the stream has
            None,
        ],
    ),
    5: ([bytes(16)], BAD_MACS),
}
COMPONENT: Fields = [0, 5, bytes(32), 9]
MANIFEST: Fields = [1, 7, bytes(16), bytes(16), "r", "b", [1, 2], [3, 4], [COMPONENT], [], 5]
MANIFESTS: dict[int, tuple[list[Any], list[Any]]] = {
    0: ([1], [0, 2, True, None]),
    1: ([1, release.MAX_SEQUENCE], [0, release.MAX_SEQUENCE + 1, True]),
    2: ([bytes(16)], [bytes(15), bytes(17), None]),
    3: ([bytes(16)], [bytes(15), bytes(17), None]),
    4: (["", "r" * 32], ["r" * 33, b"r", None]),
    5: (["", "b" * 32], ["b" * 33, b"b", None]),
    6: (
        [[0, 0], [0, 0xFFFF], [0xFFFF, 0xFFFF]],
        [[2, 1], [0, 0x10000], [-1, 0], [1], [1, 2, 3], 1, [True, 1]],
    ),
    7: ([[0, 0], [0, 0xFFFFFF]], [[2, 1], [0, 0x1000000], [-1, 0], [1], 1]),
    8: (
        [
            [[0, 1, bytes(32), 0]],
            [[0, 0xFFFFFF, bytes(32), 0xFFFFFF]],
            [[release.KEYS, 1, bytes(32), 0]],
            [[release.MODEM, 1, bytes(32), "v" * 64]],
            [[kind, 1, bytes(32), 0] for kind in (0, 1, 2, 4)],
        ],
        [
            [],
            [[0, 0, bytes(32), 0]],
            [[0, 0x1000000, bytes(32), 0]],
            [[0, 1, bytes(31), 0]],
            [[0, 1, bytes(33), 0]],
            [[0, 1, bytes(32), 0x1000000]],
            [[0, 1, bytes(32), -1]],
            [[0, 1, bytes(32), "v"]],
            [[release.KEYS + 1, 1, bytes(32), 0]],
            [[release.MODEM, 1, bytes(32), "v" * 65]],
            [[release.MODEM, 1, bytes(32), 1]],
            [[0, 1, bytes(32), 0], [0, 2, bytes(32), 0]],
            [[0, 1, bytes(32), 0, 0]],
            None,
        ],
    ),
    9: (
        [[], [[0, 1]], [[release.KEYS, release.MAX_SEQUENCE]], [[0, 1]] * 4],
        [[[0, 0]], [[0, release.MAX_SEQUENCE + 1]], [[release.KEYS + 1, 1]], [[0, 1]] * 5, [[0]]],
    ),
    10: ([0, WORD], [-1, WORD + 1, True]),
}
DECODERS: dict[str, tuple[Fields, dict[int, tuple[list[Any], list[Any]]], Callable[..., Any]]] = {
    "command": (COMMAND, COMMANDS, command.decode),
    "assignment": (ASSIGNMENT, ASSIGNMENTS, release.assigned),
    "manifest": (MANIFEST, MANIFESTS, release.decode),
}
TAKEN = [
    (kind, place, value)
    for kind, (_, fields, _) in DECODERS.items()
    for place, (taken, _) in fields.items()
    for value in taken
]
REFUSED = [
    (kind, place, value)
    for kind, (_, fields, _) in DECODERS.items()
    for place, (_, refused) in fields.items()
    for value in refused
]


def with_one(kind: str, place: int, value: Any) -> Any:
    good, _, decode = DECODERS[kind]
    return decode(cbor.encode([*good[:place], value, *good[place + 1 :]]))


@pytest.mark.parametrize(("kind", "place", "value"), TAKEN)
def test_what_is_within_the_bounds_is_taken(kind: str, place: int, value: Any) -> None:
    got = with_one(kind, place, value)
    if not isinstance(value, list):
        assert value in tuple(got) or (kind == "manifest" and place == 0)


@pytest.mark.parametrize(("kind", "place", "value"), REFUSED)
def test_what_is_beyond_them_is_refused(kind: str, place: int, value: Any) -> None:
    with pytest.raises(ReportError):
        with_one(kind, place, value)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_field_more_or_less_is_refused(kind: str) -> None:
    good, _, decode = DECODERS[kind]
    decode(cbor.encode(good))
    for wrong in (good[:-1], [*good, 0], {0: 1}, 1, None):
        with pytest.raises(ReportError):
            decode(cbor.encode(wrong))
    with pytest.raises(ReportError):
        decode(cbor.encode(good) + b"\0")


def test_an_assignment_of_no_release_has_no_parts_and_no_digest_of_any_length() -> None:
    none = release.assigned(cbor.encode([0, b"", 4, 0, [], MAC]))
    assert none == (0, b"", 4, 0, [], MAC)
    assert release.assigned(cbor.encode([0, bytes(16), 4, 0, [], MAC])).digest == bytes(16)


# Envelopes


def envelope(*, several: Any, manifest: Any = b"m", left: Any = None) -> bytes:
    size = -len(cbor.encode([manifest, several, b""])) % 16
    return cbor.encode([manifest, several, bytes(size) if left is None else left])


SIGNED: Fields = [bytes(8), bytes(384), b""]
SEVERAL = [[bytes([n]) * 8, bytes(384), bytes(384)] for n in range(4)]


@pytest.mark.parametrize(
    "several",
    [[SIGNED], [[bytes(8), bytes(384), bytes(384)]], SEVERAL[:2], [SIGNED, *SEVERAL[1:2]]],
)
def test_an_envelope_within_the_bounds_is_taken(several: Any) -> None:
    manifest, got = release.unseal(envelope(several=several))
    assert (manifest, [list(each) for each in got]) == (b"m", several)


@pytest.mark.parametrize(
    "data",
    [
        envelope(several=[]),
        envelope(several=SEVERAL),
        envelope(several=[SIGNED, SIGNED]),
        envelope(several=[[bytes(7), bytes(384), b""]]),
        envelope(several=[[bytes(9), bytes(384), b""]]),
        envelope(several=[[bytes(8), bytes(383), b""]]),
        envelope(several=[[bytes(8), bytes(385), b""]]),
        envelope(several=[[bytes(8), bytes(384), bytes(383)]]),
        envelope(several=[[bytes(8), bytes(384)]]),
        envelope(several=[SIGNED], manifest="m"),
        envelope(several=[SIGNED], left=""),
        envelope(several=[SIGNED], left=bytes(64)),
        envelope(several=[SIGNED])[:-1],
        envelope(several=[SIGNED], manifest=bytes(release.MAX_ENVELOPE)),
    ],
)
def test_an_envelope_beyond_them_is_refused(data: bytes) -> None:
    with pytest.raises(ReportError):
        release.unseal(data)


def test_the_padding_of_an_envelope_is_zeros() -> None:
    good = envelope(several=[SIGNED])
    if good[-1:] == b"\0":
        with pytest.raises(ReportError):
            release.unseal(good[:-1] + b"\1")
    assert len(good) % 16 == 0


# Claims and grants

NODE = "1gntj14d2p"
CLAIM: dict[int, Any] = {0: 1, 1: NODE, 2: "gas-meter", 3: b"csr"}
NO_PATCHES: list[Any] = [{}, [], 1]
GRANT: dict[int, Any] = {0: 1, 1: b"cert", 2: bytes(32), 3: [bytes(3), bytes(16)]}


@pytest.mark.parametrize(
    "change", [{2: "r" * 16}, {3: bytes(1)}, {3: bytes(512)}, {4: bytes(1)}, {4: bytes(512)}]
)
def test_a_claim_within_the_bounds_is_taken(change: dict[int, Any]) -> None:
    assert claim.decode(cbor.encode(CLAIM | change)).node_id == NODE


@pytest.mark.parametrize(
    "change",
    [
        *({0: wrong} for wrong in (0, 2, True, None, "1")),
        *({1: wrong} for wrong in ("1gntj14d2", NODE + "p", "1gntj14d2u", b"1", 1, None)),
        *({2: wrong} for wrong in ("", "r" * 17, b"r", None)),
        *({3: wrong} for wrong in (b"", bytes(513), "csr", None)),
        *({4: wrong} for wrong in (b"", bytes(513), "csr", None)),
        {5: b""},
        {9: 1},
    ],
)
def test_a_claim_beyond_them_is_refused(change: dict[int, Any]) -> None:
    made = {**CLAIM, **change}
    with pytest.raises(claim.ClaimError):
        claim.decode(cbor.encode(made))


@pytest.mark.parametrize("change", [{1: bytes(1)}, {1: bytes(1024)}, {4: {"report_s": 60}}])
def test_a_grant_within_the_bounds_is_taken(change: dict[int, Any]) -> None:
    got = claim.decode_grant(cbor.encode(GRANT | change))
    assert (got.hmac, got.oscore, got.reason) == (bytes(32), [bytes(3), bytes(16)], 0)
    assert got.patch == change.get(4)


@pytest.mark.parametrize(
    "change",
    [
        *({0: wrong} for wrong in (0, 2, True)),
        *({1: wrong} for wrong in (b"", bytes(1025), "cert", None)),
        *({2: wrong} for wrong in (bytes(31), bytes(33), "h" * 32)),
        *(
            {3: wrong}
            for wrong in (
                [bytes(2), bytes(16)],
                [bytes(4), bytes(16)],
                [bytes(3), bytes(15)],
                [bytes(3), bytes(17)],
                [bytes(3)],
                [bytes(3), bytes(16), b""],
                bytes(3),
            )
        ),
        *({4: wrong} for wrong in NO_PATCHES),
        {5: b""},
        {9: 1},
    ],
)
def test_a_grant_beyond_them_is_refused(change: dict[int, Any]) -> None:
    with pytest.raises(claim.ClaimError):
        claim.decode_grant(cbor.encode({**GRANT, **change}))


@pytest.mark.parametrize("reason", [1, 255])
def test_a_refusal_within_the_bounds_is_taken(reason: int) -> None:
    assert claim.decode_grant(cbor.encode({0: 1, 9: reason})) == (b"", b"", [], None, reason)


@pytest.mark.parametrize("refusal", [{9: 0}, {9: 256}, {9: True}, {9: "1"}, {9: 1, 4: {"a": 1}}])
def test_a_refusal_beyond_them_is_refused(refusal: dict[int, Any]) -> None:
    with pytest.raises(claim.ClaimError):
        claim.decode_grant(cbor.encode({0: 1, **refusal}))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("v" + "0" * 10, True),
        ("v" + "z" * 10, True),
        ("v" + "0" * 9, False),
        ("v" + "0" * 11, False),
        ("w" + "0" * 10, False),
        ("v" + "0" * 9 + "u", False),
        ("v" + "0" * 9 + "O", False),
    ],
)
def test_a_claim_id(text: str, is_one: bool) -> None:
    assert claim.is_id(text) is is_one
