"""A bundle's file and what it must hold: any other bytes are refused, in one line."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_rig import METER, keys, of, signed, small, small_image

from fleet.releases import bundle, content, target
from fleet.releases.bundle import MAGIC, Bundle
from fleet.releases.errors import BundleError
from fleet.releases.target import Target
from fleet.wire import cbor, release


def refused(made: Bundle) -> str:
    with pytest.raises(BundleError) as caught:
        content.check(made)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_holds_the_same_bundle() -> None:
    made = small(7)
    raw = bundle.encode(made)
    assert bundle.decode(raw) == made
    assert bundle.encode(bundle.decode(raw)) == raw
    assert content.check(made).sequence == 7
    assert hashlib.sha256(made.manifest).digest() == made.digest


@given(st.data())
def test_a_damaged_file_is_refused_or_another_bundle(data: st.DataObject) -> None:
    raw = bytearray(bundle.encode(small(7)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        found = bundle.decode(bytes(raw))
    except BundleError:
        return
    assert bundle.encode(found) == raw


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.binary(max_size=9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 3), inner),
    max_leaves=12,
))  # fmt: skip
def test_any_cbor_is_refused(value: object) -> None:
    try:
        raw = MAGIC + cbor.encode(value)
    except cbor.CborError:
        return
    with pytest.raises(BundleError):
        bundle.decode(raw)


def flat(made: Bundle) -> list[object]:
    found = cbor.decode(bundle.encode(made)[len(MAGIC) :])
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (0, 2, "another version"),
        (0, True, "another version"),
        (1, "text", "its manifest"),
        (2, [[b"1" * 8, b"s" * 384]], r"\[key id, signature, modulus\]"),
        (2, [[b"1" * 8, b"s" * 383, b""]], "wrong length"),
        (2, [[b"1" * 8, b"s" * 384, b"m"]], "wrong length"),
        (2, [[b"1" * 8, b"s" * 384, b""]] * 2, "signs twice"),
        (2, [[b"%08d" % n, b"s" * 384, b""] for n in range(4)], "up to 3 signatures"),
        (3, [[0, b"x"], [0, b"y"]], "component 0 is there twice"),
        (3, [[0, "x"]], r"\[kind, bytes\]"),
        (3, [[True, b"x"]], r"\[kind, bytes\]"),
        (4, b"x", "bill of materials"),
    ],
)
def test_what_is_in_no_bundle(place: int, value: object, why: str) -> None:
    parts = flat(small(7))
    parts[place] = value
    with pytest.raises(BundleError, match=why):
        bundle.decode(MAGIC + cbor.encode(parts))


def test_an_envelope_has_place_for_a_release_key_or_two_root_keys() -> None:
    roots = keys().roots
    bare = of(small(7).components, 7)
    assert len(signed(bare, roots=roots[:2]).envelope) <= release.MAX_ENVELOPE
    with pytest.raises(BundleError, match="nodes take 2048: where root keys"):
        signed(bare, roots=roots).envelope  # noqa: B018
    with pytest.raises(BundleError, match="no more have a place"):
        signed(small(7), roots=roots)


def test_a_second_signature_of_a_key_takes_the_place_of_its_first() -> None:
    assert len(signed(small(7), keys().release).signatures) == 1


def test_components_are_those_of_the_manifest() -> None:
    made = small(7)
    image = made.components[release.APPLICATION]
    other = image[:-1] + bytes((image[-1] ^ 1,))
    assert "is not that of its manifest" in refused(made._replace(components={0: other}))
    assert "components are not those" in refused(made._replace(components={}))
    more = {**made.components, release.PACK: cbor.encode({"report_s": 60})}
    assert "components are not those" in refused(made._replace(components=more))


def test_vendor_and_class_are_ours() -> None:
    says = small(7).says
    for changed, why in (
        (says._replace(vendor=bytes(16)), "another vendor"),
        (says._replace(product=bytes(16)), "its class"),
        (says._replace(role="kettle", product=Target("kettle", METER.board).product), "no role"),
    ):
        assert why in refused(small(7)._replace(manifest=release.encode(changed)))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xf6", "no map"),
        (b"\x01\x02", "trailing bytes"),
        (cbor.encode({}), "no map"),
        (cbor.encode({"report_s": 1}), "report_s outside"),
        (cbor.encode({"lamp_dw": 7}), "gas-meter takes no 'lamp_dw'"),
        (cbor.encode({"board": "devkit"}), "takes no 'board'"),
        (cbor.encode({"node": "0000000000"}), "takes no 'node'"),
    ],
)
def test_a_configuration_pack_is_one_for_the_role(data: bytes, why: str) -> None:
    assert why in refused(of({release.PACK: data}, 7))
    good = of({release.PACK: cbor.encode({"report_s": 3600, "ntp": None})}, 7)
    assert content.check(good).sequence == 7


def test_a_modems_firmware_has_its_version() -> None:
    assert "no version" in refused(of({release.MODEM: b"x"}, 7, versions={release.MODEM: ""}))
    content.check(of({release.MODEM: b"x"}, 7, versions={release.MODEM: "BC660KGLAAR01A05"}))


def test_a_runtime_is_for_the_boards_chip() -> None:
    from hil.virtual import runtime_image

    image = runtime_image.make("esp32s3", "1.29.0")
    app = target_runtime(image)
    word = {release.RUNTIME: 1 << 16 | 29 << 8}
    content.check(of({release.RUNTIME: app}, 7, versions=word))
    assert "of another version" in refused(of({release.RUNTIME: app}, 7))
    other = Target("gateway", "esp32-ec200")
    assert "for esp32s3, the board has esp32" in refused(of({1: app}, 7, other, versions=word))
    assert "for one board" in refused(of({1: app}, 7, Target(), versions=word))
    assert "has a bootloader" in refused(of({1: image}, 7, versions=word))
    assert "its runtime" in refused(of({1: app[:-1]}, 7, versions=word))


def target_runtime(image: bytes) -> bytes:
    from fleet.flashing import runtime

    return runtime.parse(image).app


def test_keys_are_keys() -> None:
    assert "its keys" in refused(of({release.KEYS: b"x"}, 7, Target()))
    content.check(of({release.KEYS: keys().trust}, 7, Target()))


def test_an_image_says_which_release_it_is() -> None:
    """Mix and match: an image of one release does not go with the manifest of another."""
    for image in (small_image(8), small_image(7, Target("drainage", METER.board)),
                  small_image(7, Target(METER.role, "devkit"))):  # fmt: skip
        assert "of another release, role or board" in refused(of({0: image}, 7))
    assert target.image_digest(small_image(7)) in small_image(7)[:64]


def test_no_node_can_say_that_it_has_a_pack_or_a_modem() -> None:
    """To need one would be refused by every node, for ever."""
    image = {release.APPLICATION: small_image(7)}
    for kind in (release.PACK, release.MODEM):
        assert "no node can say" in refused(of(image, 7, needs=[(kind, 1)]))
    content.check(of(image, 7, needs=[(release.APPLICATION, 5), (release.KEYS, 2)]))
