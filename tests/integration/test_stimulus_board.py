"""The stimulus board's own firmware, on the virtual board: what its pins do, second by second."""

from pathlib import Path
from typing import Any

from board_rig import SECOND, Twin
from stimulus_rig import stimulator

from fleet.wire import cjt188, dlt645, modbus
from hil import subdevices

CHANNELS = {
    "pulse": {"pin": 4, "second": 5},
    "cover": {"pin": 6},
    "door": {"pin": 7, "drain": True, "idle": 1},
    "pfail": {"pin": 8},
    "level": {"pwm": 9, "full_mv": 3300, "shunt_ohm": 150},
    "valve_open": {"in": 10},
}
WIRE = {"channels": CHANNELS}


async def test_pulses_of_a_wheel_close_two_contacts_which_overlap(tmp_path: Path) -> None:
    async with stimulator(tmp_path) as rig:
        told = await rig.ask(wire=WIRE)
        assert (told["version"], set(told["channels"])) == (1, set(CHANNELS))
        seen: list[tuple[int, int, int]] = []

        def listen(pin: int) -> None:
            rig.board.listen(pin, lambda level: seen.append((rig.board.now_us, pin, level)))

        for pin in (4, 5):
            listen(pin)
        told = await rig.ask(pulse="pulse", count=3, width_ms=180, gap_ms=320)
        assert told == {"ok": True, "ends_ms": 1500}
        await rig.board.run_for(3 * SECOND)
        begin = seen[0][0]
        at = [(round((us - begin) / 1000), pin, level) for us, pin, level in seen]
        turn = [(0, 4, 1), (60, 5, 1), (120, 4, 0), (180, 5, 0)]
        wanted = [(ms + 500 * n, pin, level) for n in range(3) for ms, pin, level in turn]
        assert [each[1:] for each in at] == [each[1:] for each in wanted]
        assert all(abs(a[0] - b[0]) <= 3 for a, b in zip(at, wanted, strict=True)), at
        seen.clear()
        await rig.ask(pulse="pulse", count=100)
        await rig.ask(pulse="pulse", count=0)  # both contacts open at once
        await rig.board.run_for(2 * SECOND)
        assert rig.board.pins.level(4) == rig.board.pins.level(5) == 0
        assert len(seen) <= 4


async def test_contacts_voltages_and_currents_are_set_and_outputs_read(tmp_path: Path) -> None:
    async with stimulator(tmp_path) as rig:
        await rig.ask(wire=WIRE)
        assert rig.board.pins.level(7) == 1, "a contact that pulls to ground rests"
        await rig.ask(level="cover", value=1)
        await rig.ask(level="door", value=0)
        await rig.ask(relay="supply-fail", value=1)
        assert [rig.board.pins.level(pin) for pin in (6, 7, 8)] == [1, 0, 1]
        await rig.ask(voltage="level", mv=1650)
        assert abs(rig.board.pins.duty(9) - 32767) <= 1
        await rig.ask(current="level", ua=12_000)
        assert rig.board.pins.duty(9) == 1800 * 65535 // 3300
        assert (await rig.ask(read="valve_open"))["value"] == 0
        rig.board.pins.drive(10, 1)
        assert (await rig.ask(read="valve_open"))["value"] == 1


async def test_what_was_wired_before_rests_when_it_is_wired_anew(tmp_path: Path) -> None:
    channels = {**CHANNELS, "battery": {"pwm": 11, "mv": 1800}}
    async with stimulator(tmp_path) as rig:
        await rig.ask(wire={"channels": channels})
        assert rig.board.pins.duty(11) == 1800 * 65535 // 3300, "a cell is not empty at first"
        await rig.ask(level="cover", value=1)
        await rig.ask(level="door", value=0)
        await rig.ask(level="pulse", value=1)
        await rig.ask(voltage="level", mv=1650)
        await rig.ask(voltage="battery", mv=900)
        await rig.ask(wire={})
        assert [rig.board.pins.level(pin) for pin in (4, 5, 6, 7)] == [0, 0, 0, 1]
        assert rig.board.pins.duty(9) == 0
        assert rig.board.pins.duty(11) == 1800 * 65535 // 3300


async def test_any_line_has_an_answer_and_the_board_goes_on(tmp_path: Path) -> None:
    async with stimulator(tmp_path) as rig:
        await rig.ask(wire=WIRE)
        for line, told in (
            ("nonsense", "ValueError"),
            ("[1]", "no JSON object on one line"),
            ("{}", "a stimulus is one of"),
            ('{"pulse": "nose"}', "there is no channel 'nose'"),
            ('{"pulse": "level"}', "the channel is no contact"),
            ('{"pulse": "pulse", "count": true}', "count cannot be True"),
            ('{"pulse": "pulse", "width_ms": 60, "gap_ms": 60}', "takes 240 ms"),
            ('{"level": "cover", "value": 2}', "value cannot be 2"),
            ('{"voltage": "level", "mv": 3301}', "0 to 3300 mV"),
            ('{"bus": "list"}', "no RS-485 line is wired"),
            ('{"meter": "read"}', "no meter is wired"),
            ('{"bus": "set", "address": "17", "spoil_every": 2}', "bus has no 'spoil_every' here"),
            ('{"level": "cover", "value": 1, "bounce": 3}', "level has no 'bounce' here"),
            ('{"level": ["cover"]}', "TypeError"),
            ('{"wire": {"channels": {"x": {}}}}', "pin, pwm, dac or in"),
            ('{"wire": {"channels": {"x": {"dac": 25}}}}', "DAC"),
            ("x" * 6000, "ValueError"),
        ):
            answer = await rig.send(line)
            assert told in answer["error"], (line, answer)
        await rig.ask(wire=WIRE)
        assert await rig.ask(level="cover", value=1) == {"ok": True}


class Master(Twin):
    """The node's end of the line."""

    def ask(self, frame: bytes) -> None:
        self.got.clear()
        self.port.send(frame, self.port.now() + 10_000)


async def test_meters_on_the_bus_answer_as_the_nodes_codecs_want_it(tmp_path: Path) -> None:
    master = Master()
    wire = {"bus": {"uart": 1, "tx": 17, "rx": 18, "de": 21}}
    async with stimulator(tmp_path, {1: master}) as rig:
        await rig.ask(wire=wire)

        async def hang(profile: str, address: str, **values: Any) -> dict[str, Any]:
            line = subdevices.line(profile)
            raw = subdevices.raw(profile, values)
            return await rig.ask(bus="add", address=address, values=raw, **line)

        async def answered(frame: bytes) -> bytes:
            master.ask(frame)
            await rig.board.run_for(SECOND)
            assert rig.board.pins.level(21) == 0, "the driver is let go"
            return bytes(master.got).lstrip(b"\xfe")

        assert await hang("sdm630", "17", voltage=231.5) == {"ok": True}
        request = modbus.read_request(17, 4, 0, 2)
        data = modbus.read_reply(await answered(request), 17, 4, 2)
        assert modbus.single(data, 0, 1000) == 231_500
        await rig.ask(bus="set", address="17", dead=True)
        assert await answered(request) == b""
        assert (await rig.ask(bus="list"))["devices"] == {"17": 2}
        await hang("dlt645", "000000000161", current=-1.25)
        asked = dlt645.read_request("000000000161", 0x02020100)
        data, more = dlt645.read_reply(await answered(asked), "000000000161", 0x02020100)
        assert (dlt645.bcd(data, True), more) == (-1250, False)
        await hang("cjt188-gas", "78330011223344", gas_volume=12.34, meter_valve=1)
        asked = cjt188.read_request(0x30, "78330011223344", 0x901F, 9)
        data = cjt188.read_reply(await answered(asked), 0x30, "78330011223344", 0x901F, 9)
        total, status = cjt188.metered(data)
        assert (cjt188.amount(total, cjt188.VOLUME, -3), status) == (12_340, 1)
        assert await answered(b"\x68\x00garbage\x16") == b""
        await rig.ask(bus="remove", address="17")
        assert "no sub-device 17" in (await rig.ask(bus="remove", address="17"))["error"]


class Ina226:
    """Two's complement of 2.5 uV in register 1; `microamperes` flow through `milliohm`."""

    def __init__(self, milliohm: int) -> None:
        self.milliohm = milliohm
        self.microamperes = 0
        self.configuration = b""

    def transfer(self, written: bytes, size: int) -> bytes:
        if written[:1] == b"\x00" and len(written) == 3:
            self.configuration = written[1:]
        raw = self.microamperes * self.milliohm // 2500
        return max(-32768, min(raw, 32767)).to_bytes(2, "big", signed=True)[:size]


async def test_the_meter_keeps_a_step_for_each_change_over_two_ranges(tmp_path: Path) -> None:
    fine, coarse = Ina226(10_000), Ina226(100)
    wire = {"meter": {"scl": 14, "sda": 13, "ranges": [[0x40, 10_000], [0x41, 100]]}}
    async with stimulator(tmp_path) as rig:
        for address, device in ((0x40, fine), (0x41, coarse)):
            rig.board.i2c.add(14, 13, address, device)
        await rig.ask(wire=wire)
        assert fine.configuration == bytes.fromhex("4525")

        async def draw(microamperes: int, seconds: int) -> None:
            fine.microamperes = coarse.microamperes = microamperes
            await rig.board.run_for(seconds * SECOND)

        await draw(17, 5)
        assert (await rig.ask(meter="look"))["ua"] == 17
        await draw(120_000, 1)  # beyond what the fine shunt can tell
        await draw(17, 10)
        told = await rig.ask(meter="read")
        assert [ua for _, ua in told["steps"]] == [17, 120_000, 17]
        begin, busy, rest = (ms for ms, _ in told["steps"])
        assert abs(busy - begin - 5000) < 300
        assert abs(rest - busy - 1000) < 100
        assert (told["more"], told["lost"]) == (False, 0)
        again = await rig.ask(meter="read")
        assert [ua for _, ua in again["steps"]] == [17], "the newest step goes on"
        assert again["missed"] == 0
        rig.board.i2c.dead = True
        await rig.board.run_for(SECOND)
        assert "OSError" in (await rig.ask(meter="look"))["error"]
        rig.board.i2c.dead = False
        await draw(30, 1)
        told = await rig.ask(meter="read")
        assert [ua for _, ua in told["steps"]] == [17, 30], "it lives, and measures again"
        assert 40 <= told["missed"] <= 55
