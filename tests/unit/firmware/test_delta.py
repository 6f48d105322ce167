"""What a node makes of a part: the same as detools, bit by bit, and nothing of anything else."""

import io

import pytest
import update_rig as rig
from hypothesis import given, settings
from hypothesis import strategies as st
from node.update import delta
from node.update.ends import Refused
from node.wire import release

CHUNK = st.tuples(st.integers(0, 3000), st.integers(0, 1200))


def applied(patch: bytes, old: bytes, size: int, done: int = 0) -> bytes:
    out = bytearray()
    delta.build(io.BytesIO(patch), release.DELTA, io.BytesIO(old), size, out.extend, done)
    return bytes(out)


def plain(old: bytes, new: bytes) -> bytes:
    made = io.BytesIO()
    rig.detools.create_patch(io.BytesIO(old), io.BytesIO(new), made, compression="none")
    return made.getvalue()


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An image and another one that is made of pieces of it, changed here and there."""
    old = draw(st.randoms(use_true_random=False)).randbytes(draw(st.integers(1, 4000)))
    new = bytearray()
    for at, length in draw(st.lists(CHUNK, max_size=6)):
        piece = bytearray(old[at : at + length])
        for where in draw(st.lists(st.integers(0, 3000), max_size=4)):
            if piece:
                piece[where % len(piece)] ^= draw(st.integers(0, 255))
        new += piece + draw(st.binary(max_size=80))
    return old, bytes(new or b"x")


@settings(max_examples=150, deadline=None)
@given(pairs(), st.integers(0, 5000))
def test_as_detools_and_from_anywhere_on(pair: tuple[bytes, bytes], done: int) -> None:
    old, new = pair
    patch = plain(old, new)
    oracle = io.BytesIO()
    rig.detools.apply_patch(io.BytesIO(old), io.BytesIO(patch), oracle)
    assert oracle.getvalue() == new
    done = min(done, len(new))
    assert applied(rig.deflated(patch), old, len(new), done) == new[done:]


@settings(max_examples=150, deadline=None)
@given(pairs(), st.integers(0, 4000), st.integers(1, 255))
def test_a_damaged_patch_gives_an_error_or_so_many_bytes(
    pair: tuple[bytes, bytes], at: int, bits: int
) -> None:
    old, new = pair
    patch = bytearray(plain(old, new))
    patch[at % len(patch)] ^= bits
    out = bytearray()
    try:
        delta.build(
            io.BytesIO(rig.deflated(bytes(patch))), release.DELTA, io.BytesIO(old), len(new),
            out.extend,
        )  # fmt: skip
    except Refused as e:
        told = e.result
    else:
        told = 0
    assert told == release.BAD_DELTA or len(out) == len(new)
    assert len(out) <= len(new)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([release.DEFLATED, release.DELTA]))
def test_any_bytes_give_one_or_the_other(data: bytes, form: int) -> None:
    for part in (data, rig.deflated(data)):
        out = bytearray()
        try:
            delta.build(io.BytesIO(part), form, io.BytesIO(bytes(500)), 200, out.extend)
        except Refused as e:
            told = e.result
        else:
            told = 0
        assert told == release.BAD_DELTA or len(out) == 200
        assert len(out) <= 200


@pytest.mark.parametrize("form", [release.PLAIN, release.DEFLATED])
@pytest.mark.parametrize("size", [1, 511, 512, 513, 5000])
def test_a_whole_image(form: int, size: int) -> None:
    new = bytes(i % 251 for i in range(size))
    data = new if form == release.PLAIN else rig.deflated(new)
    for done in (0, 1, size // 2, size):
        out = bytearray()
        delta.build(io.BytesIO(data), form, None, size, out.extend, done)
        assert bytes(out) == new[done:]
    for wrong in (size - 1, size + 1):
        with pytest.raises(Refused):
            delta.build(io.BytesIO(data), form, None, wrong, bytearray().extend)


def test_a_patch_of_another_kind() -> None:
    old, new = rig.image(1), rig.image(2)
    for options in ({"compression": "crle"}, {"patch_type": "in-place", "compression": "none"}):
        made = io.BytesIO()
        more = {"memory_size": 65536, "segment_size": 4096} if "patch_type" in options else {}
        rig.detools.create_patch(io.BytesIO(old), io.BytesIO(new), made, **options, **more)
        with pytest.raises(Refused):
            applied(rig.deflated(made.getvalue()), old, len(new))


def test_from_another_image_it_is_another_one() -> None:
    """That is for the digest to see; the patch itself cannot tell."""
    old, new = rig.image(1), rig.image(2)
    other = bytes(len(old))
    assert applied(rig.patch(old, new), other, len(new)) != new
    with pytest.raises(Refused):
        applied(rig.patch(old, new), old[:100], len(new))
