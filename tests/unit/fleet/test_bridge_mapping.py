"""Rows become readings by a mapping file, exactly, or one line says why not."""

import contextlib
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import bridge_rig as rig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.bridge import mapper, times, units
from fleet.bridge.errors import MappingFault, Unmapped
from fleet.bridge.mapping import Mapped
from fleet.bridge.rows import Row, text_of
from fleet.legacy.intake import Value
from fleet.legacy.sources import Source

SOURCE = 'kind = "folder"\npath = "drop"\n'
WIDE = """
[map]
terminal = "meter"
time = "at"
zone = "Asia/Shanghai"
[map.quality]
column = "flag"
good = ["0", "OK"]
estimated = "E"
[[map.values]]
column = "m3"
quantity = "gas_volume"
[[map.values]]
column = "mbar"
quantity = "pressure"
unit = "mbar"
"""
LONG = """
[map]
terminal = "id"
by = "imei"
time = "t"
time_format = "ms"
others = "skip"
[map.skip]
state = ["deleted"]
[[map.values]]
column = "v"
quantity = "energy"
unit = "Wh"
round = true
when = {tag = ["E1", "E2"]}
[[map.values]]
column = "v"
quantity = "meter_valve"
words = {open = 0, closed = 1}
when = {tag = "VALVE"}
"""


def said(mapped: Mapped, **cells: str) -> list[Value]:
    found = mapper.read(Row("r", cells), mapped.rules)
    return [] if found is None else list(found.values)


def why(mapped: Mapped, **cells: str) -> str:
    with pytest.raises(Unmapped) as refused:
        mapper.read(Row("r", cells), mapped.rules)
    return str(refused.value)


def test_a_row_with_a_column_for_each_quantity(tmp_path: Path) -> None:
    mapped = rig.write(tmp_path, SOURCE, WIDE)
    row = {"meter": "T1", "at": "2026-11-30 08:00:00", "m3": "1234.567", "mbar": "21.5"}
    found = mapper.read(Row("r", {**row, "flag": "E"}), mapped.rules)
    at = 1_795_996_800_000_000  # 2026-11-30T00:00:00Z
    assert found is not None
    assert found.source == Source("number", "T1")
    # 21.5 mbar are 2.15 kPa: half to even at one decimal.
    assert list(found.values) == [Value(1, at, 1_234_567, 1), Value(37, at, 22, 1)]
    assert said(mapped, **row, flag="OK")[0].quality == 0
    assert len(said(mapped, **{**row, "mbar": ""}, flag="0")) == 1


def test_a_row_for_each_quantity(tmp_path: Path) -> None:
    mapped = rig.write(tmp_path, SOURCE, LONG)
    row = {"id": "867223040000013", "t": "1764500000123", "state": ""}
    at = 1_764_500_000_123_000
    assert said(mapped, **row, tag="E2", v="12345") == [Value(22, at, 1234)]  # 12.345 kWh
    assert said(mapped, **row, tag="E2", v="12355") == [Value(22, at, 1236)]  # half to even
    assert said(mapped, **row, tag="VALVE", v="closed") == [Value(41, at, 1)]
    assert said(mapped, **row, tag="RSSI", v="-90") == []
    assert said(mapped, **{**row, "state": "deleted"}, tag="E1", v="nonsense") == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"meter": ""}, "meter '': 1 to 64 characters"),
        ({"meter": "\x00898600"}, "lost its last digits"),
        ({"at": ""}, "at is empty"),
        ({"at": "yesterday"}, "time 'yesterday': such as"),
        ({"at": "0001-01-01 00:00:00"}, "none of a reading"),
        ({"m3": "12,5"}, "m3 '12,5' is no number"),
        ({"m3": "NaN"}, "is no number"),
        ({"m3": "1.2345"}, "finer than 3 decimals of gas_volume: round = true"),
        ({"m3": "9" * 20}, "too large"),
        ({"m3": "", "mbar": ""}, "no value in m3, mbar"),
        ({"flag": "?"}, "says no quality"),
    ],
)
def test_what_cannot_be_a_reading(tmp_path: Path, changes: dict[str, str], line: str) -> None:
    mapped = rig.write(tmp_path, SOURCE, WIDE)
    row = {"meter": "T1", "at": "2026-11-30 08:00", "m3": "1", "mbar": "1", "flag": "0"}
    assert line in why(mapped, **{**row, **changes})


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    mapped = rig.write(tmp_path, SOURCE, WIDE)
    assert why(mapped, meter="T1", at="2026-11-30") == "no column 'flag'; there are meter, at"


def test_a_value_that_no_rule_is_for_is_a_dead_letter_unless_it_may_be_skipped(
    tmp_path: Path,
) -> None:
    mapped = rig.write(tmp_path, SOURCE, LONG.replace('others = "skip"', ""))
    assert why(mapped, id="8", t="1", state="", tag="RSSI", v="1") == "no value is of tag 'RSSI'"


def test_any_row_gives_readings_or_one_line(tmp_path: Path) -> None:
    rules = rig.write(tmp_path, SOURCE, WIDE).rules
    texts = st.one_of(st.text(max_size=30), st.from_regex(r"[-+0-9.e]{1,12}", fullmatch=True))

    @settings(max_examples=60)
    @given(st.fixed_dictionaries(dict.fromkeys(("meter", "at", "m3", "mbar", "flag"), texts)))
    def read(cells: dict[str, str]) -> None:
        with contextlib.suppress(Unmapped):
            mapper.read(Row("r", {**cells, "at": "2026-11-30", "flag": "0"}), rules)
            mapper.read(Row("r", cells), rules)

    read()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('quantity = "pressure"', 'quantity = "presure"', "scada.toml: map.values[2].quantity"),
        ('unit = "mbar"', 'unit = "m3"', "map.values[2].unit: 'm3' is no unit of"),
        ('zone = "Asia/Shanghai"', 'zone = "Asia/Atlantis"', "map.zone"),
        ('estimated = "E"', 'estimated = "0"', "stands for two qualities"),
        ('column = "m3"', 'column = "m3"\nround = "yes"', "map.values[1].round: true or false"),
        ('column = "m3"', 'column = "m3"\nscale = "0"', "map.values[1].scale"),
        ('column = "m3"', 'colum = "m3"', "map.values[1].column: is missing"),
        ('terminal = "meter"', 'terminal = "meter"\nsql = "DROP"', "map.sql: no such key"),
        ('time = "at"', 'time = "at"\ntime_format = "HH:MM"', "map.time_format"),
    ],
)
def test_a_file_that_is_wrong_names_its_key(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert old in WIDE
    with pytest.raises(MappingFault) as refused:
        rig.write(tmp_path, SOURCE, WIDE.replace(old, new))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_index_is_never_rounded_unasked(tmp_path: Path) -> None:
    rules = WIDE.replace('column = "m3"', 'column = "m3"\nround = true')
    row = {"meter": "T1", "at": "2026-11-30", "m3": "1.2345", "mbar": "", "flag": "0"}
    assert said(rig.write(tmp_path, SOURCE, rules), **row)[0].value == 1234


def test_times_of_clocks_that_were_changed() -> None:
    berlin = times.reader("iso", ZoneInfo("Europe/Berlin"))
    assert berlin("2026-10-25T02:30:00+02:00") < berlin("2026-10-25T02:30:00+01:00")
    with pytest.raises(Unmapped, match="changed its clocks"):
        berlin("2026-10-25 02:30:00")  # twice
    with pytest.raises(Unmapped, match="changed its clocks"):
        berlin("2026-03-29 02:30:00")  # never
    forms = times.reader("%d.%m.%Y %H:%M", ZoneInfo("Asia/Shanghai"))
    assert forms("30.11.2026 08:00") == 1_795_996_800_000_000


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-10**9,
                   max_value=10**9))  # fmt: skip
def test_units_there_and_back_are_exact(number: Decimal) -> None:
    factor = units.between("L", "m3")
    assert factor is not None
    value = units.scaled(number.quantize(Decimal(1)), factor, 1, False)
    assert units.told(value, 1, factor, 0) == number.quantize(Decimal(1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (21.3, "21.3"), (1e-7, "0.0000001"), (Decimal("1.50"), "1.5"),
        (Decimal("1E+3"), "1000"), (12, "12"), (float("nan"), "nan"), (b"\x01\xff", "01ff"),
        (1234567.891, "1234567.891"),
    ],
)  # fmt: skip
def test_cells_as_text(value: object, text: str) -> None:
    assert text_of(value) == text
