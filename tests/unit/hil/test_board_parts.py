"""Parts of the board that need no VM: traces, partition tables, NVS, wake sources, console."""

import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.flashing import partitions
from fleet.flashing.partitions import PartitionError
from fleet.releases import slots
from hil.virtual import stimulus
from hil.virtual.console import Console
from hil.virtual.pins import Pins
from hil.virtual.rtc import EXT0, EXT1, EXT1_WAKE, GPIO, GPIO_WAKE, RtcDomain
from hil.virtual.stimulus import Adc, Level, Pulse, Stimulus, TraceError

ROOT = Path(__file__).parents[3]


def _trace(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


def test_a_trace_has_any_iso_time_or_seconds(tmp_path: Path) -> None:
    path = _trace(
        tmp_path,
        "time,level\n2020-01-01 00:00:00,1.5\n\n2020-01-01T08:00:01+08:00,2\n"
        "2020-01-01T00:00:02Z,\n1577836803,-3e-1\n",
    )
    second = 1_000_000
    start = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * second
    assert list(stimulus.read_trace(path)) == [
        (start, 1.5),
        (start + second, 2.0),
        (start + 3 * second, -0.3),
    ]
    assert next(stimulus.trace(path, 4, lambda v: round(v * 1000), wake_pin=5)) == (
        start,
        Adc(4, 1500, 5),
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("yesterday,1", "Invalid isoformat"),
        ("2020-01-01,one", "could not convert"),
        ("2020-01-03", "needs time,value"),
        ("2019-12-31,1", "goes back"),
        ("2020-01-03,nan", "not a usable number"),
        ("2020-01-03,1e99", "not a usable number"),
        ("-5,1", "outside 1970"),
        ("1e300,1", "outside 1970"),
    ],
)
def test_a_bad_line_is_named_in_one_line(tmp_path: Path, line: str, why: str) -> None:
    path = _trace(tmp_path, f"time,value\n2020-01-01,1\n{line}\n")
    with pytest.raises(TraceError, match=rf"trace\.csv:3: bad line in trace: .*{why}") as e:
        list(stimulus.read_trace(path))
    assert "\n" not in str(e.value)


def test_a_missing_trace_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot read the trace"):
        list(stimulus.read_trace(tmp_path / "none.csv"))


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_trace_or_a_trace_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(raw)
    with contextlib.suppress(TraceError):
        list(stimulus.read_trace(path))


def test_a_stimulus_that_goes_back_in_time_is_refused() -> None:
    world = Stimulus([(5, Level(1, 1)), (4, Level(1, 0))])
    assert world.next() == (5, Level(1, 1))
    world.last_us = 5
    with pytest.raises(ValueError, match="goes back"):
        world.next()


def test_merged_schedules_are_in_order() -> None:
    merged = stimulus.merge([(1, Pulse(1)), (5, Pulse(1))], [(3, Level(2, 1))])
    assert [at for at, _ in merged] == [1, 3, 5]


def test_the_4_mib_table_fits_and_is_aligned() -> None:
    table = partitions.load(ROOT / "hw" / "partitions" / "4MiB.csv", 4 << 20)
    labels = ["nvs", "otadata", "phy_init", "ota_0", "ota_1", "romfs", "rescue", "vfs"]
    assert [row.label for row in table] == labels
    assert table[-1].offset + table[-1].size == 4 << 20
    assert partitions.find(table, "ota_1").subtype == 0x11


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("vfs,data,fat,0x9000", "bad partition"),
        ("vfs,data,fat,0x9100,4K", "multiple"),
        ("ota_0,app,ota_0,0x11000,64K", "multiple"),
        ("vfs,data,fat,0x1000,4K", "overlaps"),
        ("vfs,data,fat,,8M", "ends behind the flash"),
        ("vfs,what,fat,,4K", "bad partition"),
        ("averyverylonglabel,data,fat,,4K", "label"),
    ],
)
def test_a_bad_partition_table_is_one_line(tmp_path: Path, row: str, why: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"# heading\n{row}\n")
    with pytest.raises(PartitionError, match=rf"table\.csv:2: .*{why}"):
        partitions.load(path, 4 << 20)


def test_ext1_low_means_all_pins_on_the_esp32_and_any_on_the_s3() -> None:
    levels = {1: 0, 2: 1}
    for any_low, expected in ((False, None), (True, EXT1_WAKE)):
        rtc = RtcDomain(any_low)
        rtc.wake_on(EXT1, 0, (1, 2))
        assert rtc.woken_by(levels.__getitem__) == expected
        rtc.wake_on(EXT1, 1, (1, 2))
        assert rtc.woken_by(levels.__getitem__) == EXT1_WAKE
        rtc.wake_on(EXT1, 1, ())
        rtc.wake_on(EXT0, 1, (1,))
        assert rtc.woken_by(levels.__getitem__) is None


def test_gpio_wakes_the_c3_by_any_of_its_pins() -> None:
    rtc = RtcDomain(True)
    rtc.wake_on(GPIO, 1, (4, 5))
    assert rtc.woken_by({4: 0, 5: 0}.__getitem__) is None
    assert rtc.woken_by({4: 0, 5: 1}.__getitem__) == GPIO_WAKE


def test_a_counter_counts_both_edges_as_told() -> None:
    pins = Pins(lambda pin, level: None)
    pins.pcnt_init(0, 4, 1, 2)  # rising up, falling down
    pins.pcnt_run(0, True)
    for level in (1, 1, 0, 1):
        pins.drive(4, level)
    assert pins.pcnt_value(0, True) == 1
    assert pins.pcnt_value(0, False) == 0


def test_the_console_splits_lines_keeps_the_tail_and_survives_bad_utf8() -> None:
    lines: list[str] = []
    console = Console(lines.append)
    console.feed("一".encode()[:2])
    console.feed("一".encode()[2:] + b"\r\nab\xff")
    console.feed(b"c")
    console.flush()
    assert lines == ["一", "ab\ufffdc"]
    console.feed(b"x" * 10_000)
    assert len(console.tail) == 4096


def test_bytecode_is_cached_by_content_and_errors_name_the_file(tmp_path: Path) -> None:
    source = tmp_path / "fw"
    (source / "node").mkdir(parents=True)
    (source / "boot.py").write_text("print(1)\n")
    (source / "main.py").write_text("from node import main\n")
    (source / "trial.py").write_text("print(3)\n")
    (source / "node" / "main.py").write_text("from node import app\n")
    (source / "node" / "app.py").write_text("x = [1]\n")
    first = slots.build(source, tmp_path / "out")
    assert first["/boot.py"] == b"print(1)\n"
    assert first["/main.py"] == b"from node import main\n"
    image = first["/a.romfs"]
    assert image[:3] == b"\xd2\xcd\x31"
    assert b".mpy" in image
    made = list((tmp_path / "out").iterdir())
    assert slots.build(source, tmp_path / "out") == first
    assert list((tmp_path / "out").iterdir()) == made
    (source / "node" / "app.py").write_text("x = [2]\n")
    assert slots.build(source, tmp_path / "out")["/a.romfs"][:64] != image[:64]  # its digest
    (source / "node" / "app.py").write_text("x = = 1\n")
    with pytest.raises(slots.BuildError, match=re.escape("node/app.py:1: invalid syntax")):
        slots.build(source, tmp_path / "out")
    with pytest.raises(slots.BuildError, match="no firmware sources"):
        slots.build(tmp_path, tmp_path / "out")
