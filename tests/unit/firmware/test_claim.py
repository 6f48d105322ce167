"""A node that buys its identity by a voucher: once, whatever is lost and whenever power fails."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import esp32
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node import claim, config
from node.claim import ClaimRefused
from node.errors import ConfigError, LinkError
from node.wire import cbor, nodeid
from node.wire import claim as wire
from numbers_rig import PowerCut

NODE = "1gntj14d2p"
VOUCHER = "v0123456789"
VALUES = {
    "node": NODE, "role": "gas-meter", "modem": "bc660k", "host": "localhost", "port": 5683,
    "pins": {"pulse": 4}, "door": "coap",
}  # fmt: skip
GRANT = wire.encode_grant(b"certificate", bytes(32), [b"abc", bytes(16)], {"report_s": 7200})
PROVISIONED = {
    "cfg": cbor.encode(VALUES), "key": b"key", "csr": b"csr", "key2": b"key2", "csr2": b"csr2",
    "ca": b"ca", "vid": VOUCHER.encode(), "vkey": b"vkey", "vcert": b"vcert",
    "vosc": cbor.encode([b"xyz", bytes(16)]), "q78797a": 64,
}  # fmt: skip
ORDINARY = {
    "cfg": cbor.encode({**VALUES, "report_s": 7200}), "key": b"key", "key2": b"key2",
    "csr2": b"csr2", "ca": b"ca", "cert": b"certificate", "hmac": bytes(32),
    "oscore": cbor.encode([b"abc", bytes(16)]),
}  # fmt: skip


class Link:
    """Session and door in one: every claim is answered by `answer`."""

    RECEIPT_MS = 1000

    def __init__(self, answer: bytes = GRANT) -> None:
        self.answer = answer
        self.claims: list[Any] = []

    async def door(self) -> "Link":
        return self

    async def claim(self, payload: bytes, deadline_ms: int) -> bytes:
        self.claims.append(wire.decode(payload))
        return self.answer


@pytest.fixture(autouse=True)
def flash() -> Iterator[esp32.Flash]:
    """NVS as an offline provisioning leaves it."""
    esp32.flash = provisioned()
    yield esp32.flash
    esp32.flash = esp32.Flash()


def settled() -> dict[str, Any]:
    """What NVS keeps, but for the way back from a configuration that came with the grant."""
    return {k: v for k, v in esp32.flash.kept.items() if k not in ("cfgp", "cfgt")}


def provisioned(at_set: bool = False) -> esp32.Flash:
    made = esp32.Flash()
    made.at_set = at_set
    made.kept.update(PROVISIONED)
    return made


def boot(link: Link) -> bool:
    """What a boot and its contact do; whether it is an ordinary node at the boot already."""
    held = config.voucher()
    if held is not None:
        held = claim.standing(held)
    if held is None:
        return True
    asyncio.run(claim.redeem(link, VALUES))
    return False


def test_a_claim_hands_in_both_requests_and_keeps_all_that_is_granted() -> None:
    link = Link()
    assert not boot(link)
    assert link.claims == [wire.Claim(NODE, "gas-meter", b"csr", b"csr2")]
    assert settled() == ORDINARY
    assert boot(link)
    assert len(link.claims) == 1


def test_a_node_without_a_spare_key_claims_too() -> None:
    del esp32.flash.kept["csr2"]
    link = Link()
    boot(link)
    assert link.claims[0].spare == b""


def test_a_refusal_keeps_everything_and_tells_the_reason() -> None:
    with pytest.raises(ClaimRefused) as refused:
        boot(Link(wire.encode_refusal(wire.EXPIRED)))
    assert refused.value.cause == wire.EXPIRED
    assert esp32.flash.kept == PROVISIONED


def test_what_is_no_grant_is_a_failed_contact() -> None:
    with pytest.raises(LinkError):
        boot(Link(b"\xa0"))
    assert esp32.flash.kept == PROVISIONED


def test_a_full_nvs_leaves_the_voucher() -> None:
    esp32.flash.full = True
    with pytest.raises(ConfigError):
        boot(Link())
    esp32.flash.full = False
    boot(Link())
    assert settled() == ORDINARY


def test_a_patch_that_is_no_configuration_does_not_cost_the_identity() -> None:
    boot(Link(wire.encode_grant(b"certificate", bytes(32), [b"abc", bytes(16)], {"pins": {}})))
    assert settled() == {**ORDINARY, "cfg": PROVISIONED["cfg"]}


def ends_provisioned(at_set: bool, *cuts: int) -> bool:
    """Boot after boot, the power cut at those operations; whether the last cut came at all."""
    esp32.flash = provisioned(at_set)
    link = Link()
    was_cut = False
    for left in (*cuts, None, None):
        esp32.flash.fuse.left = left
        was_cut = was_cut if left is None else False
        try:
            boot(link)
        except PowerCut:
            was_cut = True
        esp32.flash.reset()
        if "cert" not in esp32.flash.kept:
            assert {"vid", "vkey", "vcert", "vosc", "csr"} <= set(esp32.flash.kept), "locked out"
    assert settled() == ORDINARY
    return was_cut


@pytest.mark.parametrize("at_set", [False, True])
def test_a_power_cut_at_any_operation_ends_in_the_same_node(at_set: bool) -> None:
    left = 0
    while ends_provisioned(at_set, left):
        left += 1
    assert left > 20


@given(st.booleans(), st.lists(st.integers(0, 60), max_size=5))
def test_many_power_cuts_end_in_the_same_node(at_set: bool, cuts: list[int]) -> None:
    ends_provisioned(at_set, *cuts)


def test_sabotage_a_certificate_that_is_kept_first_leaves_half_a_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def keep(nvs: Any, grant: Any) -> None:
        nvs.set_blob("cert", grant.certificate)
        nvs.commit()
        nvs.set_blob("oscore", cbor.encode(grant.oscore))
        nvs.commit()
        claim._erase(nvs)

    monkeypatch.setattr(claim, "_keep", keep)
    esp32.flash.fuse.left = 4
    with contextlib.suppress(PowerCut):
        boot(Link())
    esp32.flash.reset()
    assert boot(Link()), "it takes itself for an ordinary node"
    assert "oscore" not in esp32.flash.kept


@given(st.binary(max_size=80))
def test_any_bytes_are_a_claim_or_an_error(raw: bytes) -> None:
    for decode in (wire.decode, wire.decode_grant):
        with contextlib.suppress(wire.ClaimError):
            decode(raw)


_values = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70), st.binary(max_size=40), st.text(max_size=12),
    st.lists(st.binary(max_size=17), max_size=3),
)  # fmt: skip


@given(st.dictionaries(st.integers(0, 10), _values, max_size=6))
def test_any_map_is_a_claim_a_grant_or_an_error(top: dict[int, Any]) -> None:
    top[0] = 1
    raw = cbor.encode(top)
    with contextlib.suppress(wire.ClaimError):
        got = wire.decode(raw)
        assert wire.encode(*got) == raw
    with contextlib.suppress(wire.ClaimError):
        grant = wire.decode_grant(raw)
        assert grant.reason or wire.encode_grant(*grant[:4]) == raw


@given(
    st.binary(min_size=6, max_size=6),
    st.sampled_from(["gas-meter", "lamppost"]),
    st.binary(min_size=1, max_size=wire.MOST_CSR),
    st.binary(max_size=wire.MOST_CSR),
)
def test_a_claim_survives_its_encoding(mac: bytes, role: str, csr: bytes, spare: bytes) -> None:
    made = wire.Claim(nodeid.from_mac(mac), role, csr, spare)
    assert wire.decode(wire.encode(*made)) == made


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (VOUCHER, True), ("v01234567890"[:10], False), ("v012345678i", False), (NODE, False),
        ("w0123456789", False), ("v0123456789a", False), ("", False), ("v/+#456789a", False),
    ],
)  # fmt: skip
def test_a_claim_id_has_one_grammar(text: str, is_one: bool) -> None:
    assert wire.is_id(text) == is_one
