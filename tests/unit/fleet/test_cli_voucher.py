"""`kapok voucher` on a data folder: pull, push, list, revoke."""

from pathlib import Path

import pytest
from cli_rig import AREA, initialised, out, out_json, refusal, run

from fleet.flashing.vouchers import USED, VoucherFile
from fleet.wire import nodeid

MACS = [(0x30AEA4770000 + n).to_bytes(6, "big") for n in range(3)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    return folder


@pytest.fixture
def file(tmp_path: Path) -> VoucherFile:
    return VoucherFile(tmp_path / "laptop" / "vouchers.json")


def pull(data: Path, file: VoucherFile, count: int, person: str = "wang") -> list[str]:
    got = out_json(
        data, "voucher", "pull", "--count", count, "--area", AREA, "--node", "gas-meter",
        "--person", person, "--file", file.path,
    )  # fmt: skip
    ids: list[str] = got["vouchers"]
    return ids


def test_vouchers_are_pulled_used_pushed_and_gone_from_the_laptop(
    data: Path, file: VoucherFile
) -> None:
    ids = pull(data, file, 3)
    assert [one.claim_id for one in file.all()] == ids
    for mac in MACS[:2]:
        file.used(file.take(mac, "gas-meter").claim_id)
    told = out(data, "voucher", "push", "--person", "wang", "--file", file.path)
    assert "2 reported, 0 refused" in told
    assert [one.claim_id for one in file.all()] == ids[2:]
    listed = {one["claim_id"]: one for one in out_json(data, "voucher", "list")}
    assert [listed[one]["state"] for one in ids] == ["bound", "bound", "fresh"]
    assert listed[ids[0]]["node_id"] == nodeid.from_mac(MACS[0])
    node = out_json(data, "node", "show", nodeid.from_mac(MACS[0]))
    assert (node["state"], node["area"], node["role"]) == ("pending", AREA, "gas-meter")
    assert "0 reported" in out(data, "voucher", "push", "--person", "wang", "--file", file.path)


def test_what_the_fleet_refuses_stays_on_the_laptop(data: Path, file: VoucherFile) -> None:
    (one,) = pull(data, file, 1)
    file.used(file.take(MACS[0], "gas-meter").claim_id)
    out(data, "voucher", "revoke", one)
    result = run(data, "voucher", "push", "--person", "wang", "--file", file.path)
    assert result.exit_code == 1
    assert "is revoked" in result.stdout
    assert [held.state for held in file.all()] == [USED]


def test_a_stolen_laptop_is_ended_by_one_command(data: Path, file: VoucherFile) -> None:
    ids = pull(data, file, 2)
    other = pull(data, file, 1, "li")
    ended = out_json(data, "voucher", "revoke", "--person", "wang")
    assert {one["claim_id"] for one in ended} == set(ids)
    states = {one["claim_id"]: one["state"] for one in out_json(data, "voucher", "list")}
    assert states == {**dict.fromkeys(ids, "revoked"), **dict.fromkeys(other, "fresh")}
    crl = (data / "pki" / "crl.pem").read_bytes()
    out_json(data, "voucher", "revoke", "--person", "wang")
    assert crl != b""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("revoke",), "either claim ids or --person"),
        (("revoke", "v0123456789", "--person", "wang"), "either claim ids or --person"),
        (("revoke", "v0123456789"), "no voucher 'v0123456789'"),
        (("pull", "--area", "99", "--node", "gas-meter", "--person", "w"), "area '99' is unknown"),
        (("pull", "--area", AREA, "--node", "toaster", "--person", "w"), "toaster"),
        (("pull", "--area", AREA, "--node", "gas-meter", "--person", "\t"), "person"),
    ],
)
def test_refusals_are_one_line(
    data: Path, file: VoucherFile, arguments: tuple[str, ...], text: str
) -> None:
    more = ("--file", str(file.path)) if arguments[0] == "pull" else ()
    code = 2 if "either" in text else 1
    assert text in refusal(data, "voucher", *arguments, *more, code=code)
    assert not file.path.exists()
