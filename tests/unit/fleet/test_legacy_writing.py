"""Frames from values are read as these; what does not fit is refused; checks that are off."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.legacy.protocols import cjt188, dlt645, hj212, modbus, sl651, writing
from fleet.legacy.protocols.frame import BEIJING, FrameError, Value

WHEN = datetime(2026, 11, 26, 8, 15, 30, tzinfo=BEIJING)
TWO = st.integers(0, 99_999_999).map(lambda n: Decimal(n).scaleb(-2))


def read(values: list[Value]) -> dict[str, str]:
    return {one.key: f"{one.value} {one.unit}".strip() for one in values}


@given(TWO, TWO, st.sampled_from([0, 1, 3, 4, 5]))
def test_a_gas_meter(total: Decimal, settled: Decimal, status: int) -> None:
    frame = writing.metered(0x30, "78330011223344", 7, total, settled, WHEN, status)
    told = read(cjt188.values(cjt188.decode(cjt188.encode(frame))))
    assert told["total"] == f"{total:.2f} m³"
    assert told["total_settled"] == f"{settled:.2f} m³"
    assert frame.content["time"] == "2026-11-26T08:15:30+08:00"
    assert told["battery"] == ("low" if status & 4 else "good")


@given(st.integers(-799_999, 799_999))
def test_an_electricity_meter(power: int) -> None:
    value = Decimal(power).scaleb(-4)
    frame = writing.measured("202012345678", 0x02030000, value)
    assert read(dlt645.values(frame)) == {"active_power_total": f"{value:.4f} kW"}


@given(
    st.integers(-9_999_999, 9_999_999).map(lambda n: Decimal(n).scaleb(-3)),
    st.integers(0, 9999).map(lambda n: Decimal(n).scaleb(-2)),
)
def test_a_station(level: Decimal, volts: Decimal) -> None:
    message = writing.report(
        0x32, 1, "0012345678", 3, WHEN, WHEN, "river", {"Z": level, "VT": volts}
    )
    assert read(sl651.values(message)) == {"Z": f"{level:.3f} m", "VT": f"{volts:.2f} V"}
    assert message.content["station_class"] == "river"


def test_registers() -> None:
    assert writing.registers(1, 4, [1, 65535]).registers == ((0, 1), (1, 65535))


def test_what_does_not_fit() -> None:
    with pytest.raises(writing.DoesNotFit, match=r"1000000\.00 does not fit 8 digits"):
        writing.metered(0x30, "78330011223344", 0, Decimal("1000000.00"), Decimal(0), WHEN)
    with pytest.raises(writing.DoesNotFit, match="does not fit 8 digits with 2 decimals"):
        writing.metered(0x30, "78330011223344", 0, Decimal("0.001"), Decimal(0), WHEN)
    with pytest.raises(writing.DoesNotFit, match="has no sign"):
        writing.measured("202012345678", 0x00010000, Decimal(-1))
    with pytest.raises(writing.DoesNotFit, match="no single number"):
        writing.measured("202012345678", 0x0001FF00, Decimal(1))
    with pytest.raises(writing.DoesNotFit, match="no element X"):
        writing.report(0x32, 1, "0012345678", 3, WHEN, WHEN, "river", {"X": Decimal(1)})
    with pytest.raises(writing.DoesNotFit, match="1 to 125"):
        writing.registers(1, 3, [])


def test_without_its_check_a_damaged_level_would_be_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = writing.report(0x32, 1, "0012345678", 3, WHEN, WHEN, "river", {"Z": Decimal(1)})
    bad = bytearray(sl651.encode(message))
    bad[-4] ^= 1  # the last digit
    with pytest.raises(FrameError, match="CRC"):
        sl651.decode(bytes(bad))
    monkeypatch.setattr(sl651, "judge", lambda _: None)
    assert read(sl651.values(sl651.decode(bytes(bad)))) == {"Z": "1.001 m"}


def test_without_its_check_damaged_data_would_be_others(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = ((("DataTime", "20260801080000"),), (("w01018-Rtd", "2.2"),))
    packet = hj212.Packet("32", "2011", "0" * 24, groups, "20260801080000000", "1", 4)
    bad = hj212.encode(packet).replace(b"Rtd=2.2", b"Rtd=9.2")
    with pytest.raises(FrameError, match="CRC"):
        hj212.decode(bad)
    monkeypatch.setattr(hj212, "_checked", lambda *_: None)
    assert read(hj212.values(hj212.decode(bad))) == {"w01018-Rtd": "9.2 mg/L"}


def test_a_reply_of_registers_goes_round() -> None:
    frame = writing.registers(17, 3, [555, 0, 100])
    assert modbus.decode(modbus.encode(frame), "reply") == frame
