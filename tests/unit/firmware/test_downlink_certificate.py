"""A certificate for the spare key: taken whole, wherever the power fails."""

from collections.abc import Iterator
from typing import Any

import esp32
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from node import config, downlink
from node.wire import cbor, receipt
from numbers_rig import PowerCut

from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr

NODE = "1gntj14d2p"
KIND = receipt.CERTIFICATE
Pair = tuple[bytes, bytes]


class Made:
    """What provisioning gives a node, and the certificates that the fleet makes later."""

    def __init__(self, authority: Authority) -> None:
        key, request = make_key_and_csr(NODE)
        spare, spare_request = make_key_and_csr(NODE)
        csr = x509.load_pem_x509_csr(spare_request).public_bytes(Encoding.DER)
        self.values: dict[str, int | bytes] = {
            "key": bytes(key), "cert": authority.issue_node(request).der, "ca": b"root",
            "key2": bytes(spare), "csr2": csr,
        }  # fmt: skip
        self.next = authority.issue_node(spare_request).der
        self.payload: bytes = cbor.encode([self.next])
        self.foreign: bytes = cbor.encode([authority.issue_node(request).der])
        self.pairs = [
            (self.values["key"], self.values["cert"]), (self.values["key2"], self.next)
        ]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(Authority.create(tmp_path_factory.mktemp("fleet") / "pki"))


def provisioned(made: Made, at_set: bool = False) -> esp32.Flash:
    flash = esp32.Flash()
    flash.at_set = at_set
    flash.kept.update(made.values)
    return flash


@pytest.fixture(autouse=True)
def flash(made: Made) -> Iterator[None]:
    esp32.flash = provisioned(made)
    yield
    esp32.flash = esp32.Flash()


def in_force() -> Pair:
    found = config.credentials()
    assert found["ca"] == b"root"
    return found["key"], found["cert"]


def test_it_takes_the_spare_key_s_place(made: Made) -> None:
    assert not downlink.handle([[5, KIND, made.payload]])
    assert in_force() == made.pairs[1]
    assert set(esp32.flash.kept) == {"key", "cert", "ca", "down"}, "the old key is gone"
    assert downlink.standing() == [0, 5, 0]


def test_what_is_for_no_spare_key_is_refused(made: Made) -> None:
    refused = [made.foreign, b"", b"\xff", cbor.encode([]), cbor.encode([1]), cbor.encode({}), 900,
               cbor.encode([made.next[:100]]), cbor.encode([bytes(2000)])]  # fmt: skip
    for number, payload in enumerate(refused, 1):
        downlink.handle([[number, KIND, payload]])
        assert downlink.standing() == [0, number, number]
        assert esp32.flash.kept.items() >= made.values.items()


@pytest.mark.parametrize("lacks", ["key2", "csr2"])
def test_without_a_spare_it_is_refused(made: Made, lacks: str) -> None:
    del esp32.flash.kept[lacks]
    downlink.handle([[5, KIND, made.payload]])
    assert downlink.standing() == [0, 5, 5]
    assert in_force() == made.pairs[0]


def cut_everywhere(made: Made, at_set: bool) -> int:
    """The power fails before and after each NVS operation, twice in a row at any two of them."""
    cuts = 0
    while True:
        esp32.flash = provisioned(made, at_set)
        esp32.flash.fuse.left = cuts
        try:
            downlink.handle([[5, KIND, made.payload]])
            return cuts
        except PowerCut:
            esp32.flash.reset()
        assert in_force() in made.pairs, "never a key without its certificate"
        for second in range(60):
            held = dict(esp32.flash.kept)
            esp32.flash.fuse.left = second
            try:
                downlink.handle([[5, KIND, made.payload]])
                break
            except PowerCut:
                esp32.flash.reset()
                assert in_force() in made.pairs, "never a key without its certificate"
                esp32.flash.kept = held
        esp32.flash.fuse.left = None
        downlink.handle([[5, KIND, made.payload]])
        assert in_force() == made.pairs[1]
        assert set(esp32.flash.kept) == {"key", "cert", "ca", "down"}
        assert downlink.standing() == [0, 5, 0]
        cuts += 1


@pytest.mark.parametrize("at_set", [False, True])
def test_a_power_cut_never_leaves_a_key_without_its_certificate(made: Made, at_set: bool) -> None:
    assert cut_everywhere(made, at_set) >= 20


@pytest.mark.parametrize("at_set", [False, True])
def test_sabotage_without_the_commit_point_it_does(
    made: Made, at_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "pair", lambda _nvs, _buffer: None)

    def one_by_one(nvs: Any, payload: bytes, _number: int) -> None:
        key, cert = nvs.get_blob, cbor.decode(payload)
        buffer = bytearray(1024)
        nvs.set_blob("key", bytes(buffer[: key("key2", buffer)]))
        nvs.commit()
        nvs.set_blob("cert", cert[0])
        nvs.commit()

    monkeypatch.setitem(downlink._HANDLERS, KIND, (one_by_one, False))
    with pytest.raises(AssertionError, match="never a key"):
        cut_everywhere(made, at_set)
