"""What can be asked of a bench's board while it runs: its time, its pins, its modem."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bench_rig import bench
from cli_rig import out_json, refusal
from machine_rig import stand

from hil.plot import mean_ua
from hil.virtual.bench.control import ControlError
from hil.virtual.bench.stimulus_error import StimulusError
from hil.virtual.modem.knobs import KnobError

METER = "esp32s3-bc660k"
SECOND = 1_000_000
COUNT = """
    import machine, esp32, time
    one = esp32.PCNT(0, pin=machine.Pin(4), rising=esp32.PCNT.INCREMENT)
    two = esp32.PCNT(1, pin=machine.Pin(10), rising=esp32.PCNT.INCREMENT)
    one.start(); two.start()
    door = machine.Pin(12, machine.Pin.IN)
    level = machine.ADC(1, atten=machine.ADC.ATTN_11DB)
    out = machine.Pin(38, machine.Pin.OUT)
    print("up")
    while True:
        time.sleep(10)
        out.value(door.value())
        print("saw", one.value(), two.value(), door.value(), level.read_uv())
"""
SLEEP = "import machine; machine.deepsleep(3_600_000)"
TALK = """
    import machine, time
    uart = machine.UART(1, 115200, tx=17, rx=18, rxbuf=2048)
    heard = b""
    asked = ["AT", "ATE0", "AT+CPIN?", "AT+CEREG?"]
    while True:
        for line in asked:
            uart.write(line + "\\r\\n")
            time.sleep_ms(500)
            heard = uart.read() or b""
            print(line, heard.replace(b"\\r\\n", b" "))
        time.sleep(5)
"""


async def test_time_passes_when_it_is_asked_to_and_at_the_rate_that_is_set(tmp_path: Path) -> None:
    async with stand(tmp_path, METER, SLEEP) as rig:
        began = (await rig.ask("clock"))["now_us"]
        await asyncio.sleep(0.05)
        assert (await rig.ask("clock"))["now_us"] == began
        passed = await rig.ask("pass", seconds=1800)
        assert passed == {"now_us": began + 1800 * SECOND, "board": "asleep"}
        for _ in range(2):  # it goes no further than it was told to, not even to the next wake
            passed = await rig.ask("pass", seconds=5)
        assert passed == {"now_us": began + 1810 * SECOND, "board": "asleep"}
        passed = await rig.ask("pass", seconds=7190)
        assert passed["now_us"] == began + 9000 * SECOND
        assert rig.board.life.wakes == 2
        assert (await rig.ask("clock", rate=1000, haste=5))["rate"] == 1000
        await asyncio.sleep(0.2)
        ran = (await rig.ask("clock", rate="free"))["now_us"] - began - 9000 * SECOND
        assert 100 * SECOND < ran < 20_000 * SECOND
        await rig.board.run_until(lambda: rig.board.life.wakes > 50, 20)
        held = (await rig.ask("clock", rate=0))["now_us"]
        await asyncio.sleep(0.05)
        assert (await rig.ask("clock"))["now_us"] - held < SECOND  # what it computes takes time


async def test_time_passes_for_a_board_that_has_no_power(tmp_path: Path) -> None:
    async with stand(tmp_path, METER, SLEEP) as rig:
        await rig.ask("pass", seconds=60)
        await rig.ask("power-off")
        await rig.machine.gone()
        before = rig.board.now_us
        assert (await rig.ask("pass", seconds=3600))["now_us"] == before + 3600 * SECOND
        await rig.ask("power-on")
        await rig.ask("pass", seconds=2)
        assert rig.board.resets["power-on"] == 2


async def test_a_board_that_is_renewed_has_real_time_and_the_air_of_the_beginning(
    tmp_path: Path,
) -> None:
    async with stand(tmp_path, METER, SLEEP) as rig:
        first = await rig.ask("modem")
        await rig.ask("modem", set={"sim": "absent"})
        began = (await rig.ask("pass", seconds=86_400))["now_us"]
        assert (await rig.ask("renew"))["state"] == "off"
        assert (await rig.ask("clock"))["now_us"] < began - 80_000 * SECOND
        assert (await rig.ask("modem"))["sim"] == first["sim"]
        await rig.ask("power-on")
        assert (await rig.ask("pass", seconds=60))["board"] == "asleep"
        assert (await rig.ask("state"))["resets"] == {"power-on": 1}


async def test_pulses_levels_and_voltages_reach_the_pins_by_their_names(tmp_path: Path) -> None:
    async with stand(tmp_path, METER, COUNT) as rig:
        await rig.ask("pass", seconds=1)
        told = await rig.ask("stimulus", pulse="pulse", count=10, width_ms=60, gap_ms=500)
        assert told["ends_ms"] == 5600
        await rig.ask("stimulus", level="cover", value=1)
        await rig.ask("stimulus", voltage="level", mv=1234)
        await rig.ask("pass", seconds=11)
        assert "saw 10 10 1 1234000" in rig.board.console_tail
        assert (await rig.ask("stimulus", read="valve_open"))["value"] == 1
        await rig.ask("stimulus", relay="cover", value=0)
        await rig.ask("stimulus", current="level", ua=12_000)
        await rig.ask("stimulus", pulse="pulse", count=100)
        await rig.ask("stimulus", pulse="pulse", count=0)  # the train ends
        await rig.ask("pass", seconds=20)
        assert "saw 11 11 0 1800000" in rig.board.console_tail
        assert (await rig.ask("stimulus", read="valve_open"))["value"] == 0


async def test_what_cannot_be_is_refused_with_what_can(tmp_path: Path) -> None:
    async with stand(tmp_path, METER, COUNT) as rig:
        with pytest.raises(StimulusError, match="no channel 'nose': tx, rx"):
            await rig.ask("stimulus", pulse="nose")
        with pytest.raises(StimulusError, match="count cannot be -1"):
            await rig.ask("stimulus", pulse="pulse", count=-1)
        with pytest.raises(StimulusError, match="a turn of two contacts takes 240 ms"):
            await rig.ask("stimulus", pulse="pulse", width_ms=60, gap_ms=60)
        with pytest.raises(StimulusError, match="a stimulus is one of"):
            await rig.ask("stimulus")
        with pytest.raises(ControlError, match="rate cannot be 'quick'"):
            await rig.ask("clock", rate="quick")
        with pytest.raises(ControlError, match="seconds cannot be None"):
            await rig.ask("pass")
        before = await rig.ask("modem")
        with pytest.raises(KnobError, match="ecl cannot be 3"):
            await rig.ask("modem", set={"rsrp": -120, "ecl": 3})
        with pytest.raises(KnobError, match="'rsrq' is none of"):
            await rig.ask("modem", set={"rsrq": 1})
        with pytest.raises(KnobError, match="event 'flood' is none of"):
            await rig.ask("modem", event="flood")
        assert await rig.ask("modem") == before


async def test_a_modem_is_handled_while_it_runs_and_what_was_said_is_on_its_tape(
    tmp_path: Path,
) -> None:
    async with stand(tmp_path, METER, TALK) as rig:
        await rig.ask("pass", seconds=120)
        state = await rig.ask("modem")
        assert (state["stat"], state["sim"], state["signal"]["ecl"]) == ("home", "READY", 0)
        state = await rig.ask("modem", set={"rsrp": -128})
        assert (state["signal"]["rsrp_dbm"], state["signal"]["ecl"]) == (-128, 2)
        state = await rig.ask("modem", set={"snr": 5})
        assert state["signal"]["snr_db"] == 5
        assert (await rig.ask("modem", set={"ecl": 1}))["signal"]["ecl"] == 1
        assert (await rig.ask("modem", set={"no-service": True}))["stat"] == "searching"
        await rig.ask("pass", seconds=60)
        assert (await rig.ask("modem"))["stat"] == "searching"
        await rig.ask("modem", set={"no-service": False})
        await rig.ask("pass", seconds=60)
        assert (await rig.ask("modem"))["stat"] == "home"

        mark = (await rig.ask("modem"))["counters"]["lines"]
        assert (await rig.ask("modem", set={"sim": "absent"}))["stat"] == "idle"
        await rig.ask("pass", seconds=10)
        log = await rig.ask("modem", log=mark)
        assert any(who == "modem" and "ERROR" in text for _, _, who, text in log["lines"])
        stamps = [at for _, at, who, _ in log["lines"] if who == "host"]
        assert stamps == sorted(stamps)
        assert log["next"] == log["counters"]["lines"]
        assert not (await rig.ask("modem", log=log["next"]))["lines"]
        for sim, told in (("locked", "SIM PUK"), ("pin", "SIM PIN"), ("ready", "READY")):
            assert (await rig.ask("modem", set={"sim": sim}))["sim"] == told
        await rig.ask("pass", seconds=60)
        assert (await rig.ask("modem"))["stat"] == "home"
        assert (await rig.ask("modem", event="detach", for_s=30))["stat"] == "idle"
        boots = (await rig.ask("modem", event="reboot"))["counters"]["boots"]
        assert boots == 2
        await rig.ask("modem", set={"mute": True})
        mark = (await rig.ask("modem"))["counters"]["lines"]
        await rig.ask("pass", seconds=30)
        spoke = {who for _, _, who, _ in (await rig.ask("modem", log=mark))["lines"]}
        assert spoke == {"host"}


async def test_the_current_is_that_of_the_chip_the_modem_and_the_rest(tmp_path: Path) -> None:
    boot = "import machine, time; time.sleep(20); machine.deepsleep(3_600_000)"
    async with stand(tmp_path, METER, boot) as rig:
        begin = (await rig.ask("current"))["now_us"]
        told = await rig.ask("pass", seconds=600, until="asleep")
        assert told["board"] == "asleep"
        slept = told["now_us"]
        assert 20 * SECOND < slept - begin < 23 * SECOND
        told = await rig.ask("pass", seconds=3000)
        told = await rig.ask("current", since_us=begin)
        samples, end = told["samples"], told["now_us"]
        assert samples[0][0] == begin
        assert told["computed"] is True
        booting = mean_ua(samples, begin, begin + 240_000)
        waiting = mean_ua(samples, begin + SECOND, begin + 4 * SECOND)
        asleep = mean_ua(samples, end - 60 * SECOND, end)
        # ESP32-S3: 47 mA busy, 31.7 mA waiting, 8 uA asleep; 9 uA of the board; and the modem.
        modem = mean_ua(samples, end - 60 * SECOND, end) - 17
        assert 47_000 <= booting < 120_000
        assert 31_700 <= waiting < 110_000
        assert 0 <= modem < 20_000
        assert asleep < waiting / 3
        assert (await rig.ask("modem"))["counters"]["attaches"] == 1
        assert max(ua for _, ua in samples) > 100_000  # it has sent
        await rig.ask("power-off")
        await rig.machine.gone()
        off = (await rig.ask("pass", seconds=60))["now_us"]
        told = await rig.ask("current", since_us=off - 50 * SECOND)
        assert told["samples"] == [[off - 50 * SECOND, 0]]


async def test_a_dip_of_the_supply_is_told_from_a_power_on_by_what_rtc_memory_holds(
    tmp_path: Path,
) -> None:
    boot = """
        import machine, time
        print("cause", machine.reset_cause(), machine.RTC().memory())
        machine.RTC().memory(b"kept")
        time.sleep(60)
    """
    async with stand(tmp_path, METER, boot) as rig:
        await rig.ask("pass", seconds=20)
        boots = (await rig.ask("modem"))["counters"]["boots"]
        await rig.ask("brown-out", ms=50)
        await rig.ask("pass", seconds=2)
        assert "cause 1 b''\ncause 1 b'kept'" in rig.board.console_tail
        state = await rig.ask("modem")
        assert state["counters"]["boots"] == boots + 1
        assert state["counters"]["brown_outs"] == 1
        await rig.ask("loader")
        with pytest.raises(ControlError, match="is loader: nothing runs that could dip"):
            await rig.ask("brown-out")


async def test_a_board_with_a_bus_hears_the_meters_that_are_hung_on_it(tmp_path: Path) -> None:
    boot = """
        import machine, time
        uart = machine.UART(2, 9600, tx=32, rx=35)
        de = machine.Pin(33, machine.Pin.OUT)
        relay, dim = machine.Pin(25, machine.Pin.OUT, value=1), machine.PWM(machine.Pin(26))
        dim.init(freq=1000, duty_u16=32768)
        while True:
            de(1)
            uart.write(bytes.fromhex("110400000002735b"))
            time.sleep_ms(9)
            de(0)
            time.sleep_ms(400)
            print("heard", (uart.read() or b"").hex())
            time.sleep(5)
    """
    async with stand(tmp_path, "esp32-ec200", boot) as rig:
        await rig.ask("pass", seconds=3)
        assert rig.board.console_tail.endswith("heard \n")
        more = {"profile": "sdm630", "address": 17, "values": {"voltage": 230}}
        await rig.ask("stimulus", bus="add", **more)
        await rig.ask("pass", seconds=6)
        assert "heard 11040443660000" in rig.board.console_tail
        told = await rig.ask("stimulus", lamp={})
        assert (told["light"], told["power_dw"], told["volts_dv"]) == (500, 795, 2200)
        await rig.ask("stimulus", voltage="supply", mv=1500)
        assert (await rig.ask("stimulus", lamp={"failed": True}))["power_dw"] == 5
        assert (await rig.ask("stimulus", lamp={}))["volts_dv"] == 2000
        with pytest.raises(StimulusError, match="no ultrasonic sensor"):
            await rig.ask("stimulus", distance=100)


async def test_what_hangs_on_a_board_is_moved_jammed_and_torn_off(tmp_path: Path) -> None:
    boot = """
        import machine, time
        i2c = machine.I2C(0, scl=machine.Pin(42), sda=machine.Pin(13))
        close = machine.Pin(39, machine.Pin.OUT)
        i2c.writeto_mem(0x19, 0x20, bytes((0x57,)))
        while True:
            time.sleep(10)
            try:
                print("felt", i2c.readfrom_mem(0x19, 0x28 | 0x80, 6).hex())
            except OSError:
                print("felt nothing")
            close(1)
    """
    async with stand(tmp_path, METER, boot) as rig:
        await rig.ask("stimulus", i2c="accelerometer", turn=[1000, 0, 0])
        await rig.ask("stimulus", valve={"jam": 400})
        await rig.ask("pass", seconds=25)
        assert "felt 803e00000000" in rig.board.console_tail
        told = await rig.ask("stimulus", valve={})
        assert (told["position"], told["closed"]) == (400, False)
        assert (await rig.ask("stimulus", valve={"put": 1000}))["closed"] is True
        await rig.ask("stimulus", i2c="wires", cut=True)
        await rig.ask("pass", seconds=10)
        assert rig.board.console_tail.endswith("felt nothing\n")
        with pytest.raises(StimulusError, match="no RS-485 line"):
            await rig.ask("stimulus", bus="list")


def test_the_command_line_asks_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "bench"

    def ctl(*words: str) -> Any:
        return out_json(tmp_path, "bench", "ctl", "1", *words, "--folder", folder, "--json")

    with bench(folder, "--boards", 1, "--board", METER, "--rate", 0):
        passed = ctl("pass", "seconds=0.5")
        assert ctl("clock", "rate=1", "haste=2")["haste"] == 2
        assert passed["board"] in ("boot", "awake"), "there is nothing in its flash"
        assert ctl("modem", "rsrp=-120", "radio.loss=0.25")["sim"] == "READY"
        assert ctl("modem", "event=detach", "for_s=30")["counters"]["commands"] == 0
        assert ctl("modem", "log=0")["more"] is False
        assert ctl("stimulus", "i2c=accelerometer", "turn=[1000,0,0]")["running"] is False
        assert ctl("current", "since_us=0")["computed"] is True
        line = refusal(tmp_path, "bench", "ctl", "1", "stimulus", "level=nose", "value=1",
                       "--folder", folder)  # fmt: skip
        assert "there is no channel 'nose'" in line
