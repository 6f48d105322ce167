"""CJ/T 188, DL/T 645 and Modbus: what is encoded is decoded; what does not fit is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.legacy.protocols import cjt188, crc, dlt645, dlt645_items, modbus
from fleet.legacy.protocols.frame import FrameError
from fleet.wire import cjt188 as cj_wire
from fleet.wire import dlt645 as dl_wire
from fleet.wire import modbus as modbus_wire

METER = "78330011223344"
PLATE = "202012345678"
DIGITS = st.text("0123456789")


def cj(kind: int, control: int, data: str) -> cjt188.MeterFrame:
    return cjt188.decode(cj_wire.encode(kind, METER, control, bytes.fromhex(data)))


def dl(control: int, data: str) -> dlt645.MeterFrame:
    return dlt645.decode(dl_wire.encode(PLATE, control, bytes.fromhex(data)))


def mb(data: str, variant: str | None = None, address: int = 1) -> modbus.ModbusFrame:
    return modbus.decode(modbus_wire.encode(address, bytes.fromhex(data)), variant)


@given(st.integers(0, 99_999_999), st.integers(0, 99_999_999), st.sampled_from([0x10, 0x30]))
def test_a_total_goes_round(total: int, settled: int, kind: int) -> None:
    flat = [int(f"{n:08}"[i : i + 2], 16) for n in (total, settled) for i in (6, 4, 2, 0)]
    data = f"1F9007{bytes(flat[:4]).hex()}2C{bytes(flat[4:]).hex()}2C010203040526200500"
    frame = cj(kind, 0x81, data)
    read = {value.key: value for value in cjt188.values(frame)}
    assert read["total"].value == f"{total // 100}.{total % 100:02}"
    assert read["total_settled"].value == f"{settled // 100}.{settled % 100:02}"
    assert (read["total"].unit, read["valve"].value, read["battery"].value) == (
        "m³", "closed", "low",
    )  # fmt: skip
    assert cjt188.decode(cjt188.encode(frame)) == frame


@pytest.mark.parametrize(
    ("kind", "control", "data", "why"),
    [
        (0x10, 0x81, "1F9000 78560A2C 2C 000000002C 01020304052620 0000", "no BCD"),
        (0x10, 0x81, "1F9000 785612002C 000000002C 0102030405262000", "21 bytes of data"),
        (0x10, 0x01, "1F900000", "behind DI and SER"),
        (0x10, 0x01, "1F90", "DI and SER are 3"),
        (0x30, 0x04, "17A00066", "opens .55. or closes .99."),
        (0x30, 0x84, "17A00000", "a valve's answer has 5"),
        (0x10, 0xC1, "00", "a refusal has SER and a status"),
        (0x10, 0x04, "18A000" + "00" * 60, "63 bytes to write: 50 at most"),
    ],
)
def test_what_no_water_or_gas_meter_says(kind: int, control: int, data: str, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        cj(kind, control, data)


def test_words_of_a_water_or_gas_meter() -> None:
    assert cj(0x30, 0x04, "17A00099").content["valve_command"] == "close"
    assert cj(0x30, 0x84, "17A0070300").content["status"]["valve"] == "fault"
    assert cj(0x10, 0x81, "20D100 785612002C").readings[0].value == "1256.78"
    strange = cj(0x10, 0x81, "1F9000 78561200FF 000000002C 00000000000000 0000")
    assert strange.readings[0].quality == "suspect"
    assert "the meter's clock tells no time" in strange.notes
    assert cj(0x77, 0x01, "1F9000").notes == ("meter type 77: not in the standard",)


@given(
    st.text("0123456789", min_size=12, max_size=12),
    st.sampled_from([0x91, 0xB1, 0x11, 0x14, 0x01]),
    st.binary(min_size=12, max_size=50),
)
def test_a_frame_of_an_electricity_meter_goes_round(
    address: str, control: int, data: bytes
) -> None:
    raw = dl_wire.encode(address, control, data)
    try:
        frame = dlt645.decode(b"\xfe\xfe" + raw)
    except FrameError:
        return  # known data of another size, or no digits
    assert (frame.address, frame.control, frame.data) == (address, control, data)
    assert dlt645.encode(frame) == raw


@pytest.mark.parametrize(
    ("control", "data", "key", "value"),
    [
        (0x91, "00000000 00000180", "combined_active_energy_total", "-100.00 kWh"),
        (0x91, "00010100 26000000", "forward_active_energy_tariff_1", "0.26 kWh"),
        (0x91, "00010201 50", None, None),
        (0x91, "00010202 500180", "current_a", "-0.150 A"),
        (0x91, "02008002 0050", "frequency", "50.00 Hz"),
        (0x91, "00000602 0010", "power_factor_total", "1.000"),
        (0x91, "01010004 04251126", "date", "2026-11-25"),
        (0x91, "02010004 301508", "clock", "08:15:30"),
        (0x91, "00FF0102 2022222322 23", "voltage_c", "232.2 V"),
        (0x91, "01000100 26000000", "forward_active_energy_total_settled_1", "0.26 kWh"),
        (0x91, "00FF0100 26000000 10000000", "forward_active_energy_tariff_1", "0.10 kWh"),
        (0x91, "FF000100 26000000 10000000", "forward_active_energy_total_settled_1", "0.10 kWh"),
        (0x91, "00FF0302 000000 500100", "active_power_a", "0.0150 kW"),
        (0x91, "02010605 26000000", "forward_active_energy_total_daily_freeze_2", "0.26 kWh"),
        (0x91, "01000005 3008251126", "time_timed_freeze_1", "2026-11-25T08:30:00+08:00"),
        (0x91, "00000101 500100 3008251126", "forward_active_max_demand_total", "0.0150 kW"),
        (0x91, "00029000 50341200", "money_left", "1234.50 CNY"),
        (0x91, "00001103 120000", "power_failures", "12"),
        (0x92, "00010000 26000000 01", None, None),
    ],
)
def test_what_an_electricity_meter_measures(
    control: int, data: str, key: str | None, value: str | None
) -> None:
    if data.startswith("00010201"):
        with pytest.raises(FrameError, match="expected"):
            dl(control, "0001010250")
        return
    frame = dl(control, data)
    read = {one.key: f"{one.value} {one.unit}".strip() for one in dlt645.values(frame)}
    assert read.get(key or "") == value


def test_no_two_items_have_one_key() -> None:
    tariffs = (*range(0x40), 0xFF)
    known = [*dlt645_items._OTHERS]
    known += [0x04000500 | number for number in (*range(1, 8), 0xFF)]
    for second in range(0x100):
        for tariff in tariffs:
            high = second << 16 | tariff << 8
            known += [first << 24 | high | when for first in (0, 1) for when in (*range(13), 0xFF)]
            known += [0x02000000 | high, *(0x05000000 | high | back for back in range(1, 13))]
    singles: dict[str, int] = {}
    blocks = []
    for identifier in known:
        item = dlt645_items.find(identifier)
        if item is not None and item.block:
            blocks.append(item)
        elif item is not None:
            assert singles.setdefault(item.key_of(0), identifier) == identifier, item.name
    assert len({one.key for one in blocks}) == len(blocks)
    read_alone = [one for one in blocks if "freeze" not in one.name]
    # What a block says has the key under which it is read alone.
    assert all(key in singles for one in read_alone for key in one.keys)


@pytest.mark.parametrize(
    ("control", "data", "why"),
    [
        (0x11, "000001", "3 bytes of data, 4 or 5 or 10 expected"),
        (0x91, "000001", "DI alone has 4"),
        (0x91, "00000100 2600000A", "0A is no BCD"),
        (0x91, "00000100 26000000 00", "5 bytes of forward active energy, total: 4 expected"),
        (0xD1, "0202", "an error has 1"),
        (0x51, "02", "a request is no error"),
        (0x08, "301508311126", "is no time"),
        (0x13, "00", "1 bytes of data, 0 expected"),
        (0x94, "00", "1 bytes of data, 0 expected"),
        (0x14, "00" * 51, "50 at most"),
    ],
)
def test_what_no_electricity_meter_says(control: int, data: str, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        dl(control, data)


def test_an_address_is_digits_or_any() -> None:
    body = bytes.fromhex("686B0100000000681300")
    with pytest.raises(FrameError, match="byte 1: 6B is no digit"):
        dlt645.decode(body + bytes((sum(body) & 255, 0x16)))
    asked = dlt645.decode(dl_wire.read_address_request())
    assert asked.address == "AAAAAAAAAAAA"
    assert dl(0x93, "785634122020").content["meter_address"] == PLATE


def test_orders_to_an_electricity_meter() -> None:
    trip = dl(0x1C, "02000000 78563412 1A00 301508261126")
    assert trip.content["command"] == "trip"
    assert trip.content["until"] == "2026-11-26T08:15:30+08:00"
    assert dl(0x16, "00089999").content["freeze_at"] == "99-99 08:00"
    assert dl(0x17, "08").content["speed"] == 2400
    assert dl(0x91, "00010102 FFFF").notes == ("voltage_a: the meter does not measure it",)


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=123), st.integers(1, 247))
def test_registers_go_round(registers: list[int], address: int) -> None:
    raw = b"".join(one.to_bytes(2, "big") for one in registers)
    reply = mb(f"03{len(raw):02X}{raw.hex()}", address=address)
    assert reply.direction == "reply"
    assert [value for _, value in reply.registers] == registers
    asked = modbus.decode(modbus_wire.write_request(address, 7, registers))
    assert asked.registers == tuple(enumerate(registers, 7))
    for frame in (reply, asked):
        assert modbus.decode(modbus.encode(frame)) == frame
    assert modbus_wire.crc(raw) == crc.modbus(raw)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("0300000000", "1 to 125"),
        ("030000007E", "1 to 125"),
        ("0303000102", "reads 258 from 768|3 bytes: registers have two each"),
        ("0304000102", "4 bytes announced|reads 258"),
        ("05000000FE", "a coil is set by FF00"),
        ("100000000203000102", "announced|3 bytes for 2"),
        ("0600", "this function has 8"),
        ("8301FF", "an exception has 5"),
        ("00", "1 to 127"),
        ("80", "1 to 127"),
    ],
)
def test_what_no_modbus_device_says(data: str, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        mb(data)


def test_who_speaks_modbus() -> None:
    assert mb("0103010203").direction == "request"
    assert mb("0103010203").notes
    assert mb("0103010203", "reply").bits[:3] == (True, False, False)
    assert mb("0300000005").direction == "request"
    with pytest.raises(FrameError, match="a request, not a reply"):
        mb("0300000005", "reply")
    with pytest.raises(FrameError, match="nobody answers a broadcast"):
        mb("03020001", address=0)
    told = mb("8306").as_json()
    assert (told["exception"], told["exception_name"]) == (6, "server device busy")
    assert mb("4101").as_json()["function_name"] == "user defined"
    body = bytes.fromhex("F80300000001")
    far = body + crc.modbus(body).to_bytes(2, "little")
    with pytest.raises(FrameError, match="address 248"):
        modbus.decode(far)
    assert modbus.answer(mb("8306")) is None
    assert dlt645.answer(dl(0x13, "")) is None
    assert cjt188.answer(cj(0x10, 0x01, "1F9000")) is None
