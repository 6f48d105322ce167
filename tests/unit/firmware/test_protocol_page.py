"""The byte examples of docs/protocol.md are what the codecs make and take."""

import re
import subprocess
from pathlib import Path

import pytest
from node.errors import AttachRefused
from node.link import ladder
from node.wire import cbor, nodeid, receipt, report, uplink

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "protocol.md").read_text()
EPOCH = 0x1BADCAFE


def vector(name: str) -> bytes:
    """The bytes of the fenced block `name`: the first column, comments follow two spaces."""
    block = re.search(rf"```vector {name}\n(.*?)```", PAGE, re.S)
    assert block, f"docs/protocol.md has no vector {name}"
    columns = [re.split(r"\s{2,}", line.strip())[0] for line in block[1].splitlines()]
    return bytes.fromhex("".join(columns))


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
    status = cbor.decode(vector("status"))
    assert status == {
        uplink.DEPTH: 2,
        uplink.RESET_CAUSE: 4,
        uplink.ERROR: AttachRefused.code,
        7: 11,
        8 + ladder.AT: 1,
        8 + ladder.ESCAPE: 1,
        8 + ladder.RESET: 1,
    }
    assert cbor.encode(status) == vector("status")
    raw = report.encode(EPOCH, 1795411856, [], status)
    assert report.decode(raw).status == status


def test_the_receipt_on_the_page_is_what_the_codec_reads_and_writes() -> None:
    raw = vector("receipt")
    assert receipt.decode(raw) == (EPOCH, [(1, 2)])
    assert receipt.encode(EPOCH, [(1, 2)]) == raw


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
    assert f"at most {cbor.MAX_DEPTH} containers nest" in PAGE
