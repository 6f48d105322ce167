"""The compact report: lossless, total, small, and the same bytes on both interpreters."""

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.wire import report

FIRMWARE = Path(__file__).parents[3] / "firmware"
HOUR = 1795410000
STATUS = {0: 24, 1: 0, 2: 4, 3: 2160, 4: 3, 5: 0}
_INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
_VALUES = st.dictionaries(
    st.integers(1, 65535), _INT64 | st.integers(0, 200).map(lambda n: 10 * n), min_size=1,
    max_size=report.MAX_VALUES,
)  # fmt: skip
_QUALITIES = st.sampled_from([report.GOOD, report.ESTIMATED, report.SUSPECT])
_RECORDS = st.lists(
    st.tuples(
        st.integers(0, 0xFFFFFFFF) | st.integers(HOUR, HOUR + 9), _QUALITIES, _VALUES,
        st.integers(1, 3) | st.integers(1, 1 << 20),
    ),
    max_size=8,
)  # fmt: skip
_STATUS = st.dictionaries(st.integers(0, 65535), _INT64, max_size=8)


def encoded(records: list[tuple[int, int, int, dict[int, int]]], **more: Any) -> bytes:
    bodies = [
        (sequence, report.encode_body(when, quality, list(values.items())))
        for sequence, when, quality, values in records
    ]
    raw: bytes = report.encode(
        more.get("epoch", 7), more.get("sent", HOUR), bodies, more["status"]
    )
    return raw


@given(st.integers(1, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), _RECORDS, _STATUS)
def test_a_report_arrives_as_it_was_sent(
    epoch: int, sent: int, content: list[Any], status: dict[int, int]
) -> None:
    records, sequence = [], 0
    for when, quality, values, gap in content:
        sequence += gap
        records.append((sequence, when, quality, values))
    got = report.decode(encoded(records, epoch=epoch, sent=sent, status=status))
    assert (got.epoch, got.sent, got.status) == (epoch, sent, status)
    assert [(r.sequence, r.time, r.quality, dict(r.values)) for r in got.records] == records


def household(count: int, seed: int) -> list[tuple[int, int, int, dict[int, int]]]:
    """Hourly register of a gas meter in litres, ten a pulse; nobody uses gas at night."""
    rng = random.Random(seed)
    register, records = 8_432_150, []
    for i in range(count):
        pulses = 0 if i % 24 < 6 else min(250, int(rng.expovariate(1 / 12)))
        register += 10 * pulses
        records.append((5000 + i, HOUR + 3600 * i, 0, {1: register}))
    return records


@pytest.mark.parametrize(
    ("count", "status", "most"), [(1, {}, 17), (1, STATUS, 24), (24, {}, 39), (24, STATUS, 45)]
)
def test_a_gas_meters_report_is_as_small_as_the_air_is_dear(
    count: int, status: dict[int, int], most: int
) -> None:
    for seed in range(200):
        records = household(count, seed)
        raw = encoded(records, epoch=0xBADCAFE1, sent=records[-1][1] + 47, status=status)
        assert len(raw) <= most


def test_a_status_of_the_tenth_year_takes_a_byte_more() -> None:
    raw = encoded(household(1, 1), status=STATUS | {3: 60_000})
    assert len(raw) <= 25


def test_a_rivers_level_takes_less_than_two_bytes_an_hour() -> None:
    rng = random.Random(2)
    for _ in range(100):
        level, records = 2000, []
        for i in range(24):
            level += rng.randint(-30, 30)
            records.append((900 + i, HOUR + 3600 * i, 0, {2: level}))
        assert len(encoded(records, sent=records[-1][1] + 50, status={})) <= 40


def test_steps_of_65_bits_are_told() -> None:
    low, high = -(1 << 63), (1 << 63) - 1
    column = [low, high, low, 0, high]
    records = [(i + 1, HOUR, 0, {1: value, 2: -value - 1}) for i, value in enumerate(column)]
    got = report.decode(encoded(records, status={0: low, 1: high, 2: -1}))
    assert [(r.sequence, r.time, r.quality, dict(r.values)) for r in got.records] == records
    assert got.status == {0: low, 1: high, 2: -1}


def test_a_gap_and_a_step_back_in_time_are_told() -> None:
    records = [(5, HOUR, 0, {2: 1}), (9, HOUR - 7200, 1, {2: 1}), (10, HOUR + 60, 0, {2: -4})]
    got = report.decode(encoded(records, status={}))
    assert [(r.sequence, r.time, r.quality, dict(r.values)) for r in got.records] == records


def damaged(rng: random.Random, raw: bytes) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 9))
        else:
            data[at] = rng.choice((0, 255))
        data = data or bytearray(b"\2")
    return bytes(data)


def test_any_bytes_give_a_report_or_our_error_within_bounds() -> None:
    rng = random.Random(4)
    good = encoded(household(24, 1), status=STATUS)
    slowest = 0.0
    for i in range(20_000):
        raw = b"\2" + rng.randbytes(rng.randint(0, 60)) if i % 2 else damaged(rng, good)
        begun = time.process_time()
        try:
            got = report.decode(raw)
        except report.ReportError:
            continue
        finally:
            slowest = max(slowest, time.process_time() - begun)
        assert len(got.records) <= report.MAX_RECORDS
        assert len(got.status) <= report.MAX_STATUS
    assert slowest < 0.25  # of processor time: bounded, whatever the bytes claim


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("nothing", ""),
        ("other version", "01" + "00" * 9),
        ("cut short", "021badcafe6b03cf"),
        ("epoch 0", "02000000006b03cf90c0"),
        ("bytes behind the end", "02000000016b03cf90c000"),
        ("padding that is not zero", "02000000016b03cf90c1"),
        ("zeros without end", "02000000016b03cf90" + "00" * 100),
        ("over 8,192 bytes", "02" + "00" * 8192),
    ],
)
def test_refused(name: str, raw: str) -> None:
    with pytest.raises(report.ReportError):
        report.decode(bytes.fromhex(raw))


@settings(max_examples=1)
@given(st.lists(st.tuples(_RECORDS, _STATUS), min_size=40, max_size=40))
def test_both_interpreters_write_and_read_the_same(
    micropython: list[str], cases: list[Any]
) -> None:
    script = (
        "import sys, json\n"
        "from node.wire import report\n"
        "for line in sys.stdin:\n"
        "    raw = bytes.fromhex(json.loads(line))\n"
        "    x = report.decode(raw)\n"
        "    bodies = [(r.sequence, report.encode_body(r.time, r.quality, r.values))"
        " for r in x.records]\n"
        "    print(report.encode(x.epoch, x.sent, bodies, x.status) == raw)\n"
    )
    raws = []
    for content, status in cases:
        records = [(i + 1, w, q, v) for i, (w, q, v, _) in enumerate(content)]
        raws.append(encoded(records, status=status))
    out = subprocess.run(
        [*micropython, "-c", script],
        cwd=FIRMWARE,
        input="".join(json.dumps(raw.hex()) + "\n" for raw in raws),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert out.stdout.split() == ["True"] * len(raws)
