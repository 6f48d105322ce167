"""The byte examples of docs/protocol.md are what the codecs make and take."""

import hmac
import re
import subprocess
from pathlib import Path

import pytest
from node.link import ladder, oscore, oscore_server
from node.link.registration import AttachRefused
from node.wire import cbor, claim, coap, command, nodeid, receipt, release, report, uplink

from fleet.updates import requests

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "protocol.md").read_text()
EPOCH = 0x1BADCAFE


def vector(name: str) -> bytes:
    """The bytes of the fenced block `name`: the first column, comments follow two spaces.

    A column of a report begins with "0b" where it is bits; what is left of the last byte is zeros.
    """
    block = re.search(rf"```vector {name}\n(.*?)```", PAGE, re.S)
    assert block, f"docs/protocol.md has no vector {name}"
    columns = [re.split(r"\s{2,}", line.strip())[0] for line in block[1].splitlines()]
    bits = ""
    for column in columns:
        bits += (
            column[2:]
            if column[:2] == "0b"
            else "".join(f"{byte:08b}" for byte in bytes.fromhex(column))
        )
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if len(bits) % 8 == 0 else b""


def test_the_report_on_the_page_is_what_the_codec_reads_and_writes() -> None:
    raw = vector("report")
    decoded = report.decode(raw)
    assert decoded.epoch == EPOCH
    assert decoded.sent == 1795411856
    assert [(r.sequence, r.time, r.quality, r.values) for r in decoded.records] == [
        (1, 1795408200, report.GOOD, ((2, 1830),)),
        (2, 1795411800, report.GOOD, ((2, 1842),)),
    ]
    assert decoded.status == {report.DEPTH: 2, report.RESET_CAUSE: 4}
    bodies = [
        (r.sequence, report.encode_body(r.time, r.quality, r.values)) for r in decoded.records
    ]
    assert report.encode(EPOCH, decoded.sent, bodies, decoded.status) == raw


def test_the_status_on_the_page_is_what_the_fleet_takes() -> None:
    got = report.decode(vector("status"))
    assert got.status == {
        uplink.DEPTH: 2,
        uplink.RESET_CAUSE: 4,
        uplink.ERROR: AttachRefused.code,
        7: 11,
        8 + ladder.AT: 1,
        8 + ladder.ESCAPE: 1,
        8 + ladder.RESET: 1,
    }
    assert report.encode(got.epoch, got.sent, [], got.status) == vector("status")


def test_the_receipt_on_the_page_is_what_the_codec_reads_and_writes() -> None:
    raw = vector("receipt")
    assert receipt.decode(raw) == (EPOCH, [(1, 2)], [], 0, 0)
    assert receipt.encode(EPOCH, [(1, 2)]) == raw


def test_the_receipt_with_an_item_on_the_page() -> None:
    item = [12, receipt.CONFIG, cbor.encode({"report_s": 43200})]
    raw = vector("item")
    assert receipt.decode(raw) == (EPOCH, [(1, 2)], [item], 3, 0)
    assert receipt.encode(EPOCH, [(1, 2)], [item], 3) == raw


def test_the_datagrams_on_the_page_are_what_both_sides_seal() -> None:
    secret, kid, mid = bytes(range(16)), bytes.fromhex("a1b2c3"), 0x5A01
    body = report.encode_body(1795410000, report.GOOD, [(1, 8432150)])
    plain = b"\2\xff" + report.encode(EPOCH, 1795410047, [(5000, body)], {})
    assert plain[2:].hex() in PAGE.replace(" ", "")
    node = oscore.Context(secret, kid, b"", iter([0x1234]).__next__)
    option, cipher, request = node.seal(plain)
    asked = coap.encode(coap.CON, coap.POST, mid, b"", ((coap.OSCORE, option),), cipher)
    assert asked == vector("datagram")
    assert f"{28 + len(asked)} octets up" in PAGE
    fleet = oscore_server.Server(secret, b"", kid, iter([0]).__next__)
    opened, read = fleet.open_request(option, cipher)
    assert read == plain
    option, cipher = fleet.seal_response(opened, b"\x44")
    answer = coap.encode(coap.ACK, 0x44, mid, b"", ((coap.OSCORE, option),), cipher)
    assert answer == vector("answer")
    assert f"{28 + len(answer)} down" in PAGE
    assert node.open(request, option, cipher) == b"\x44"


def test_the_assignment_on_the_page_is_what_a_node_takes() -> None:
    given = release.assigned(vector("assignment"))
    assert given.parts == [(release.APPLICATION, release.DELTA, 300, bytes(range(0xA0, 0xA8)))]
    assert (given.sequence, given.expiry, given.size) == (42, 1796016600, 812)
    text = release.bound("1gntj14d2p", 12, given)
    assert text.startswith(b"kapok update\0down\0")
    assert hmac.digest(bytes(range(32)), text, "sha256")[:16] == given.mac
    assert release.assign(given) == vector("assignment")


def test_the_blocks_on_the_page_are_what_the_fleet_gives() -> None:
    assert requests.decode(vector("wanted")) == (12, 512, [1])
    assert cbor.encode([12, 512, 0, b"\x40"]) == vector("wanted")
    assert requests.encode(12, 1, bytes(range(4))) == vector("block")
    assert requests.encode(12, 1, release.GONE) == vector("gone")


def test_the_node_id_on_the_page() -> None:
    assert nodeid.from_mac(bytes.fromhex("30aea4123456")) == "1gntj14d2p"
    assert "1gntj14d2p" in PAGE


@pytest.mark.parametrize("name", ["report", "receipt"])
def test_the_vm_reads_the_same_bytes(name: str, micropython: list[str]) -> None:
    """MicroPython decodes the page's bytes and encodes them again to the same."""
    raw = vector(name)
    again = {
        "report": "report.encode(x.epoch, x.sent, [(r.sequence, "
        "report.encode_body(r.time, r.quality, r.values)) for r in x.records], x.status)",
        "receipt": "receipt.encode(x.epoch, x.ranges)",
    }[name]
    script = (
        "from node.wire import report, receipt\n"
        f"x = {name}.decode(bytes.fromhex('{raw.hex()}'))\n"
        f"print(({again}).hex())"
    )
    out = subprocess.run(
        [*micropython, "-c", script],
        cwd=ROOT / "firmware",
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert out.stdout.strip() == raw.hex()


def test_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"{report.MAX_BYTES:,} bytes, {report.MAX_RECORDS} records" in PAGE
    assert f"{receipt.MAX_RANGES} ranges" in PAGE
    assert f"{receipt.MAX_ITEMS}, each up to {receipt.MAX_PAYLOAD} bytes" in PAGE
    assert f"| status | {report.MAX_STATUS} keys |" in PAGE
    assert f"at most {report.MAX_ZEROS}, then" in PAGE
    assert f"at most {cbor.MAX_DEPTH} containers nest" in PAGE


def test_the_claim_and_its_answers_on_the_page() -> None:
    asked = claim.Claim("1gntj14d2p", "gas-meter", b"\x30\x81\xd0", b"")
    assert claim.decode(vector("claim")) == asked
    assert claim.encode(*asked) == vector("claim")
    key = [b"\xa1\xb2\xc3", bytes(range(16))]
    granted = claim.Grant(b"\x30\x82\x01", bytes(range(32)), key, None, 0)
    assert claim.decode_grant(vector("grant")) == granted
    assert claim.encode_grant(*granted[:3]) == vector("grant")
    assert claim.decode_grant(vector("refusal")).reason == claim.USED
    assert claim.encode_refusal(claim.USED) == vector("refusal")


def test_the_command_on_the_page_is_what_both_ends_make_of_it() -> None:
    raw = vector("command")
    code, arguments, identifier, expiry, mac = command.decode(raw)
    assert (code, arguments, identifier, expiry) == (command.VALVE_ARM, [600], 7, 1_795_412_456)
    text = command.signed("1gntj14d2p", 12, code, arguments, identifier, expiry)
    assert mac == hmac.digest(bytes(range(32)), text, "sha256")[: command.MAC]
    assert command.encode(code, arguments, identifier, expiry, mac) == raw


def test_every_command_and_result_is_on_the_page() -> None:
    from fleet.control.catalogue import KNOWN

    for known in KNOWN:
        assert re.search(rf"^\| {known.code} \| {known.name} \|", PAGE, re.M), known.name
        row = next(line for line in PAGE.splitlines() if f"| {known.name} |" in line)
        assert known.valve == ("two persons" in row)
