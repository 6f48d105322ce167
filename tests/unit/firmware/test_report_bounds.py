"""What a forged report may cost the fleet: bounded time and memory, and one verdict everywhere."""

import json
import random
import subprocess
import time
from pathlib import Path

import pytest
from node.wire import compact, report

FIRMWARE = Path(__file__).parents[3] / "firmware"
NOW = 1795410000


def claimed(count: int) -> bytes:
    """A report of some 20 bytes that claims `count` records, each like the one before."""
    out = compact._Bits(report.VERSION)
    out.put(7, 32)
    out.put(NOW, 32)
    out.number(count, 0)
    for number, order in ((0, 10), (0, 0), (0, 6), (0, 8)):  # sequences, then times
        out.number(number, order)
        if order in (10, 6):
            out.put(0, 1)
    out.put(0, 3)  # good, and a step
    out.number(0, 0)
    out.put(1, 1)  # one run takes all
    for number, order in ((0, 0), (0, 3), (0, 0), (0, 16)):  # one quantity, and its first value
        out.number(number, order)
    out.put(0, 1)
    out.number(0, 8)
    out.number(0, 0)  # no status
    raw: bytes = out.close()
    return raw


def test_record_bomb() -> None:
    """A few bytes may stand for the most records that a report carries, and for no more."""
    assert len(claimed(256)) < 25
    assert len(report.decode(claimed(256)).records) == 256
    with pytest.raises(report.ReportError, match="number of records"):
        report.decode(claimed(257))
    with pytest.raises(report.ReportError, match="number of records"):
        report.decode(claimed(1 << 40))


def test_sabotage_without_its_bound_a_record_bomb_goes_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "MAX_RECORDS", 1 << 32)
    assert len(report.decode(claimed(10_000)).records) == 10_000


def test_the_slowest_report_takes_less_than_50_ms() -> None:
    """Of 8,192 bytes at most: random numbers of 63 bits, and runs of one record each."""
    rng = random.Random(3)
    wide = [[(q + 1, rng.getrandbits(63)) for q in range(2)] for _ in range(256)]
    runs = [[(1 + i % 2 + 2 * j, 1 << 3 * j) for j in range(8)] for i in range(256)]
    for columns in (wide, runs):
        bodies = [
            (i + 1, report.encode_body(rng.getrandbits(32), i % 3, values))
            for i, values in enumerate(columns)
        ]
        raw = report.encode(7, NOW, bodies, {})
        assert 6_000 < len(raw) <= report.MAX_BYTES
        seconds = []
        for _ in range(5):
            begun = time.process_time()
            report.decode(raw)
            seconds.append(time.process_time() - begun)
        assert min(seconds) < 0.05


def forged(rng: random.Random) -> bytes:
    """A good report with a few bits turned, or nothing but noise behind the version."""
    if rng.random() < 0.3:
        return b"\2\0\0\0\7" + rng.randbytes(rng.randint(0, 40))
    bodies = [
        (
            3 * i + rng.randint(1, 3),
            report.encode_body(
                NOW + 3600 * i, 0, [(1, 10 * rng.randint(0, 90)), (100, 3600 - rng.randint(0, 2))]
            ),
        )
        for i in range(rng.randint(0, 6))
    ]
    raw = bytearray(report.encode(7, NOW, bodies, {0: 4, 6: 15}))
    for _ in range(rng.randint(0, 3)):
        raw[rng.randrange(9, len(raw))] ^= 1 << rng.randrange(8)
    return bytes(raw)


def verdict(raw: bytes) -> str:
    """What is decoded, or the error's text, and whether it comes back from its encoding."""
    try:
        got = report.decode(raw)
    except report.ReportError as e:
        return str(e)
    bodies = [(r.sequence, report.encode_body(r.time, r.quality, r.values)) for r in got.records]
    again = report.decode(report.encode(got.epoch, got.sent, bodies, got.status))
    records = [[r.sequence, r.time, r.quality, r.values] for r in got.records]
    return f"{records} {sorted(got.status.items())} {again == got}"


_VM = """\
import sys, json
from node.wire import report
for line in sys.stdin:
    try:
        got = report.decode(bytes.fromhex(json.loads(line)))
    except report.ReportError as e:
        print(e)
        continue
    bodies = [(r.sequence, report.encode_body(r.time, r.quality, r.values)) for r in got.records]
    again = report.decode(report.encode(got.epoch, got.sent, bodies, got.status))
    records = [[r.sequence, r.time, r.quality, r.values] for r in got.records]
    print(records, sorted(got.status.items()), again == got)
"""


def test_both_interpreters_judge_a_forged_report_alike(micropython: list[str]) -> None:
    rng = random.Random(5)
    raws = [forged(rng) for _ in range(1500)]
    expected = [verdict(raw) for raw in raws]
    accepted = [line for line in expected if line.startswith("[")]
    assert 100 < len(accepted) < 1400
    assert all(line.endswith("True") for line in accepted), "not lossless"
    out = subprocess.run(
        [*micropython, "-c", _VM],
        cwd=FIRMWARE,
        input="".join(json.dumps(raw.hex()) + "\n" for raw in raws),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert out.stdout.splitlines() == expected
