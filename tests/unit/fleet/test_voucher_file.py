"""The laptop's vouchers: never one for two boards, the same for the same board, keys that go."""

import base64
import json
import multiprocessing
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)
from voucher_file_rig import FLEET, voucher

from fleet.flashing import offline
from fleet.flashing.vouchers import FRESH, TAKEN, USED, VoucherError, VoucherFile
from fleet.wire import cbor, nodeid

CONFIG = {"role": "gas-meter", "modem": "bc660k", "pins": {"pulse": 4}, "report_s": 7200}


def mac(n: int) -> bytes:
    return (0x30AEA4000000 + n).to_bytes(6, "big")


@pytest.fixture
def file(tmp_path: Path) -> VoucherFile:
    made = VoucherFile(tmp_path / "state" / "vouchers.json")
    made.add(FLEET, [voucher(n) for n in range(8)])
    return made


def test_the_file_is_for_its_owner_alone(file: VoucherFile) -> None:
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.take(mac(1), "gas-meter")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_board_that_was_cut_gets_its_voucher_again(file: VoucherFile) -> None:
    first = file.take(mac(1), "gas-meter")
    assert file.take(mac(2), "gas-meter") != first
    assert file.take(mac(1), "gas-meter") == first
    file.used(first.claim_id)
    assert file.take(mac(1), "gas-meter").claim_id != first.claim_id


def test_a_used_voucher_has_lost_its_keys(file: VoucherFile) -> None:
    taken = file.take(mac(1), "gas-meter")
    file.used(taken.claim_id)
    (used,) = [one for one in file.all() if one.state == USED]
    assert used == replace(taken, state=USED, certificate=b"", key=b"", kid=b"", secret=b"")
    assert used.node_id == nodeid.from_mac(mac(1))
    file.remove([used.claim_id])
    assert {one.state for one in file.all()} == {FRESH}


def test_none_left_of_a_type_or_of_an_age(file: VoucherFile) -> None:
    with pytest.raises(VoucherError, match=r"no voucher for a lamppost .* kapok voucher pull"):
        file.take(mac(1), "lamppost")
    for n in range(8):
        file.take(mac(n), "gas-meter")
    with pytest.raises(VoucherError):
        file.take(mac(9), "gas-meter")
    file.add(FLEET, [replace(voucher(20), not_after=int(time.time()) - 1)])
    with pytest.raises(VoucherError):
        file.take(mac(9), "gas-meter")


def test_vouchers_of_two_fleets_do_not_mix(file: VoucherFile) -> None:
    with pytest.raises(VoucherError, match="another fleet"):
        file.add(replace(FLEET, ca=b"other"), [voucher(30)])
    file.add(replace(FLEET, port=1), [voucher(30)])
    assert file.fleet().port == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 5000, '{"version": 2, "fleet": null, "vouchers": []}',
     '{"version": 1, "fleet": {}, "vouchers": []}',
     '{"version": 1, "fleet": null, "vouchers": [{"claim_id": "x"}]}'],
)  # fmt: skip
def test_a_damaged_file_is_told_in_one_line(file: VoucherFile, text: str) -> None:
    file.path.write_text(text)
    with pytest.raises(VoucherError, match="damaged"):
        file.all()


def _taker(path: Path, first: int, results: "multiprocessing.Queue[list[str]]") -> None:
    held = VoucherFile(path)
    results.put([held.take(mac(first + n), "gas-meter").claim_id for n in range(10)])


def test_laptops_flashing_in_parallel_never_share_one(tmp_path: Path) -> None:
    made = VoucherFile(tmp_path / "vouchers.json")
    made.add(FLEET, [voucher(n) for n in range(40)])
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[list[str]] = context.Queue()
    takers = [context.Process(target=_taker, args=(made.path, 100 * n, results)) for n in range(4)]
    for taker in takers:
        taker.start()
    got = [claim_id for _ in takers for claim_id in results.get(timeout=30)]
    for taker in takers:
        taker.join(30)
    assert len(set(got)) == len(got) == 40
    assert {one.state for one in made.all()} == {TAKEN}


@pytest.mark.parametrize(("door", "where"), [("mqtt", 8883), ("coap", 5683)])
def test_nvs_gets_keys_of_its_own_and_the_voucher(
    file: VoucherFile, door: str, where: int
) -> None:
    prepared = offline.prepare(file, mac(1), "gas-meter", {**CONFIG, "door": door})
    values = prepared.values["kapok"]
    assert prepared.node_id == nodeid.from_mac(mac(1))
    cfg = cbor.decode(bytes(values["cfg"]))
    assert isinstance(cfg, dict)
    assert (cfg["node"], cfg["port"]) == (prepared.node_id, where)
    for key, request in (("key", "csr"), ("key2", "csr2")):
        held, asked = bytes(values[key]), bytes(values[request])
        private = load_der_private_key(held, None)
        csr = x509.load_der_x509_csr(asked)
        plain = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert csr.public_key().public_bytes(*plain) == private.public_key().public_bytes(*plain)
        assert csr.subject.rfc4514_string() == f"CN={prepared.node_id}"
    assert {"vid", "vkey", "vcert", "vosc", "ca"} <= set(values)
    assert not {"cert", "hmac", "oscore"} & set(values)


def test_no_key_of_a_node_reaches_the_disk(file: VoucherFile) -> None:
    prepared = offline.prepare(file, mac(1), "gas-meter", CONFIG)
    text = b"".join(path.read_bytes() for path in file.path.parent.iterdir())
    for name in ("key", "key2"):
        value = bytes(prepared.values["kapok"][name])
        assert value not in text
        assert base64.b64encode(value) not in text
    offline.finish(file, prepared)
    held = json.loads(file.path.read_text())["vouchers"]
    (used,) = [one for one in held if one["state"] == USED]
    assert not any(used[name] for name in ("key", "certificate", "kid", "secret"))
