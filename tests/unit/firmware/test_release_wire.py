"""Manifest, envelope, assignment and trust: what is encoded comes back, and nothing else does."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.wire import release, trust
from fleet.wire.uplink import ReportError

SIXTEEN = st.binary(min_size=16, max_size=16)
DIGEST = st.binary(min_size=32, max_size=32)
NUMBER = st.integers(1, release.MAX_SEQUENCE)
RANGE = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)).map(lambda p: (min(p), max(p)))


def component(kind: int) -> st.SearchStrategy[release.Component]:
    version = st.text(max_size=64) if kind == release.MODEM else st.integers(0, 0xFFFFFF)
    return st.builds(release.Component, st.just(kind), st.integers(1, 0xFFFFFF), DIGEST, version)


COMPONENTS = st.sets(st.integers(0, release.KEYS), min_size=1, max_size=4).flatmap(
    lambda kinds: st.tuples(*map(component, sorted(kinds))).map(list)
)
MANIFESTS = st.builds(
    release.Manifest, NUMBER, SIXTEEN, SIXTEEN, st.text(max_size=32), st.text(max_size=32),
    RANGE, RANGE, COMPONENTS,
    st.lists(st.tuples(st.integers(0, release.KEYS), NUMBER), max_size=4),
    st.integers(0, 0xFFFFFFFF),
)  # fmt: skip
PARTS = st.lists(
    st.tuples(st.integers(0, release.KEYS), st.integers(0, 1), st.integers(0, 99), st.just(b"")),
    min_size=1,
    max_size=4,
)
ASSIGNMENTS = st.builds(
    release.Assignment, NUMBER, SIXTEEN, st.integers(0, 0xFFFFFFFF), st.integers(400, 9999), PARTS,
    SIXTEEN,
)  # fmt: skip


@given(MANIFESTS)
def test_a_manifest_comes_back(manifest: release.Manifest) -> None:
    assert release.decode(release.encode(manifest)) == manifest


@given(ASSIGNMENTS)
def test_an_assignment_comes_back(assignment: release.Assignment) -> None:
    assert release.assigned(release.assign(assignment)) == assignment


def test_an_assignment_is_taken_back_by_one_of_no_release() -> None:
    nothing = release.Assignment(0, b"", 5, 0, [], bytes(16))
    assert release.assigned(release.assign(nothing)) == nothing


@given(st.binary(max_size=99), st.integers(0, 2))
def test_an_envelope_comes_back(manifest: bytes, several: int) -> None:
    signatures = [
        (bytes((n,)) * release.KID, bytes(release.SIGNATURE), b"") for n in range(several + 1)
    ]
    assert release.unseal(release.seal(manifest, signatures)) == (manifest, signatures)


def test_a_key_cannot_count_twice() -> None:
    one = (bytes(release.KID), bytes(release.SIGNATURE), b"")
    with pytest.raises(ReportError, match="twice"):
        release.unseal(release.seal(b"m", [one, one]))


def test_trust_comes_back() -> None:
    held = trust.Trust(1, 2, [b"a" * 32, b"b" * 32, b"c" * 32], [b"k" * trust.MODULUS])
    assert trust.decode(trust.encode(held)) == held
    with pytest.raises(ReportError):
        trust.decode(trust.encode(held._replace(roots=[b"a" * 32, b"a" * 32])))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    for decoder in (release.decode, release.unseal, release.assigned, trust.decode):
        with contextlib.suppress(ReportError):
            decoder(data)


@given(MANIFESTS, st.integers(0, 10**9), st.integers(0, 255))
def test_a_changed_manifest_is_refused_or_another(
    manifest: release.Manifest, at: int, value: int
) -> None:
    raw = bytearray(release.encode(manifest))
    raw[at % len(raw)] = value
    try:
        again = release.decode(bytes(raw))
    except ReportError:
        return
    assert release.encode(again) == bytes(raw)
