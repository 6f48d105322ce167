"""Duplicate names: two things under one name, of which one reader sees the first and another the
last. Refused wherever there are names: files, folders, components, keys.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_forge import file, with_record
from release_rig import keys, of, signed, small, small_image

from fleet.releases import bundle, content, romfs
from fleet.releases.errors import BundleError
from fleet.wire import cbor, release, trust
from fleet.wire.uplink import ReportError


def folder(name: str, *inside: bytes) -> bytes:
    return romfs._named(romfs._FOLDER, name, b"".join(inside))


@pytest.mark.parametrize(
    "more",
    [
        file(b"release"),
        file(b"digest"),
        folder("node", file(b"other.mpy")),
        folder("digest", file(b"x")),
        folder("profiles", file(b"air"), file(b"air")),
        folder("profiles", folder("air", file(b"x")), file(b"air")),
        file(b"Release"),  # the same on a file system that knows no case
    ],
)
def test_attack_duplicate_names_of_files(more: bytes) -> None:
    with pytest.raises(BundleError, match="its application"):
        content.check(with_record(more))


@given(st.sampled_from(["main.mpy", "app.mpy"]), st.binary(max_size=20))
def test_attack_duplicate_module(name: str, data: bytes) -> None:
    """The second one would be what runs, where the first was looked at."""
    good = small_image(7, app=b"looked at")
    node = romfs._named(romfs._FOLDER, "node", b"")[:1]
    at = good.index(b"\x04node") - 2
    assert good[at : at + 1] == node
    second = romfs._named(romfs._FILE, name, romfs._record(romfs._DATA, b"M\x06" + data))
    body = good[at:] + folder("node", second)
    image = romfs._MAGIC + romfs._varuint(len(body)) + body
    with pytest.raises(romfs.RomfsError):
        romfs.read(image)
    with pytest.raises(BundleError):
        content.check(of({release.APPLICATION: image}, 7))


def test_attack_duplicate_components_in_a_bundle() -> None:
    flat = cbor.decode(bundle.encode(small(7))[len(bundle.MAGIC) :])
    assert isinstance(flat, list)
    flat[3] = [*flat[3], [0, small_image(8)]]
    with pytest.raises(BundleError, match="component 0 is there twice"):
        bundle.decode(bundle.MAGIC + cbor.encode(flat))


def test_attack_duplicate_components_in_a_manifest() -> None:
    flat = cbor.decode(small(7).manifest)
    assert isinstance(flat, list)
    flat[8] = flat[8] * 2
    raw = cbor.encode(flat)
    with pytest.raises(ReportError, match="component 0 is there twice"):
        release.decode(raw)
    made = signed(small(7)._replace(manifest=raw, signatures=()), keys().release)
    with pytest.raises(BundleError, match="twice"):
        content.check(made)


def test_attack_duplicate_parts_of_an_assignment() -> None:
    part = (release.APPLICATION, release.PLAIN, 10, b"")
    twice = release.Assignment(7, bytes(16), 1, 40, [part, part], bytes(16))
    with pytest.raises(ReportError, match="2"):
        _judged(release.assign(twice))


def _judged(payload: bytes) -> None:
    # The codec leaves it to manifest.py, which compares the parts with the components.
    from node.update import manifest
    from node.update.ends import Refused

    assigned = release.assigned(payload)
    says = small(7).says
    here = manifest.Here(1, 1, says.role, says.board, 0x603, 0x11D00, 1)
    try:
        manifest.judge(says, False, assigned, here)
    except Refused as e:
        raise ReportError(f"result {e.result}, 2 parts") from None


def test_attack_duplicate_keys() -> None:
    """One key counted twice would make a threshold of two."""
    held = trust.decode(keys().trust)
    for changed in (held._replace(keys=held.keys * 2), held._replace(roots=held.roots[:1] * 2)):
        with pytest.raises(ReportError, match="different ones"):
            trust.decode(trust.encode(changed))
    root = keys().roots[0]
    one = (root.kid, root.sign(release.signed(small(7).manifest)), root.modulus)
    with pytest.raises(ReportError, match="a key signs twice"):
        release.unseal(release.seal(small(7).manifest, [one, one]))


def test_attack_duplicate_map_keys() -> None:
    raw = b"\xa2\x68report_s\x19\x0e\x10\x68report_s\x18\x3c"
    with pytest.raises(BundleError, match="unsorted or repeated"):
        content.check(of({release.PACK: raw}, 7))
