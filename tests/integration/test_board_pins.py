"""Pins of the board as the firmware sees them: ADC, PCNT, edges, outputs, PWM, partitions."""

from pathlib import Path

from board_rig import SECOND, START, rig

from hil.virtual.stimulus import Adc, Level, Pulse, Stimulus, merge, pulses

_FULL_MV = 3100  # ESP32-S3 at 11 dB


async def test_the_adc_is_quantised_and_clips_like_the_chips(tmp_path: Path) -> None:
    boot = """
        import machine, time
        adc = machine.ADC(machine.Pin(4), atten=machine.ADC.ATTN_11DB)
        for _ in range(5):
            print("adc", [adc.read(), adc.read_u16(), adc.read_uv()])
            time.sleep(1)
        try:
            machine.ADC(machine.Pin(40))
        except ValueError as e:
            print("refused", e)
    """
    values = [-200_000, 0, 1_234_567, 3_100_000, 4_000_000]
    stimulus = Stimulus([(START + n * SECOND, Adc(4, uv)) for n, uv in enumerate(values)])
    async with rig(tmp_path, boot, stimulus=stimulus) as r:
        assert await r.line("refused") == "invalid pin"
        readings = r.all("adc")
    for uv, (raw, u16, read_uv) in zip(values, readings, strict=True):
        clipped = min(max(uv, 0), _FULL_MV * 1000)
        assert abs(raw * _FULL_MV * 1000 / 4095 - clipped) <= _FULL_MV * 1000 / 4095 / 2 + 1
        assert u16 == (raw << 4 | raw >> 8)
        assert read_uv % 1000 == 0
        assert abs(read_uv - clipped) <= 900


async def test_pcnt_counts_while_awake_and_only_then(tmp_path: Path) -> None:
    boot = """
        import esp32, machine, time
        pin = machine.Pin(4, machine.Pin.IN)
        counter = esp32.PCNT(0, pin=pin, rising=esp32.PCNT.INCREMENT, filter=800)
        counter.start()
        time.sleep(10)
        print("count", counter.value())
        counter.stop()
        time.sleep(5)
        print("count", counter.value(0))
        print("count", counter.value())
        machine.deepsleep(100_000)
    """
    times = [START + n * SECOND // 2 for n in range(2, 60)]
    stimulus = Stimulus(pulses(4, times, 100_000))
    async with rig(tmp_path, boot, stimulus=stimulus) as r:
        await r.board.run_until(lambda: len(r.all("count")) == 6)
        # From 0.25 s (boot) to 10.25 s: pulses at 1.0 to 10.0 s in half seconds.
        assert r.all("count") == [19, 19, 0, 0, 0, 0]
        assert stimulus.count("Pulse") == 58
        assert stimulus.count("Pulse", "awake") == 29


async def test_an_edge_calls_the_pins_handler(tmp_path: Path) -> None:
    boot = """
        import asyncio, machine, time
        flag = asyncio.ThreadSafeFlag() if hasattr(asyncio, "ThreadSafeFlag") else None
        pin = machine.Pin(4, machine.Pin.IN)
        seen = []
        pin.irq(lambda p: seen.append((time.ticks_ms(), p.value())), machine.Pin.IRQ_RISING)
        time.sleep(10)
        print("seen", [list(item) for item in seen])
        pin.irq(None)
        time.sleep(10)
        print("total", len(seen))
    """
    stimulus = Stimulus(
        merge(
            pulses(4, [START + 3 * SECOND, START + 15 * SECOND]),
            [(START + 6 * SECOND, Level(4, 1)), (START + 7 * SECOND, Level(4, 1))],
        )
    )
    async with rig(tmp_path, boot, stimulus=stimulus) as r:
        assert await r.line("total") == "2"
        assert r.all("seen") == [[[3000, 1], [6000, 1]]]


async def test_outputs_and_pwm_reach_the_world_and_let_go_in_deep_sleep(tmp_path: Path) -> None:
    boot = """
        import machine
        relay = machine.Pin(6, machine.Pin.OUT, value=1)
        lamp = machine.PWM(machine.Pin(7), freq=1000, duty_u16=0)
        lamp.duty_u16(32768)
        held = machine.Pin(8, machine.Pin.OUT, value=1, hold=True)
        print("ready", relay.value(), lamp.duty_u16())
        machine.Pin(6).off()
        print("off", relay.value())
        relay.on()
        machine.deepsleep(1000)
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("ready") == "1 32768"
        assert r.board.pins.pwm[7] == (1000, 32768)
        assert await r.line("off") == "0"
        await r.board.run_until(lambda: r.board.state == "asleep")
        assert [r.board.pins.level(pin) for pin in (6, 8)] == [0, 1]
        assert r.board.pins.duty(7) == 0


async def test_partitions_come_from_the_table(tmp_path: Path) -> None:
    boot = """
        import esp32
        running = esp32.Partition(esp32.Partition.RUNNING)
        print("running", running.info()[4], running.get_next_update().info()[4])
        vfs = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
        print("vfs", vfs.info()[2:4], vfs.ioctl(4, 0), vfs.ioctl(5, 0))
        nvs = esp32.Partition("nvs")
        nvs.writeblocks(0, bytes(4096))
        buf = bytearray(16)
        nvs.readblocks(0, buf, 100)
        print("written", sum(buf))
        try:
            running.get_next_update().set_boot()
        except OSError as e:
            print("refused", e.errno)
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("running") == "ota_0 ota_1"
        assert await r.line("vfs") == f"({0x36C000}, {0x94000}) 148 4096"
        assert await r.line("written") == "0"
        assert await r.line("refused") == "-5379"


async def test_the_firmware_sees_only_its_own_flash(tmp_path: Path) -> None:
    boot = """
        import os, sys
        print("root", sorted(os.listdir("/")), os.getcwd(), sys.path)
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("root") == "['boot.py'] / ['', '.frozen', '/lib']"


async def test_pulses_wake_and_are_counted_by_what_the_board_did(tmp_path: Path) -> None:
    boot = """
        import esp32, machine
        print("woke", machine.wake_reason())
        esp32.wake_on_ext0(machine.Pin(4, machine.Pin.IN), esp32.WAKEUP_ANY_HIGH)
        machine.deepsleep()
    """
    stimulus = Stimulus([(START + n * 60 * SECOND, Pulse(4, 50_000)) for n in range(1, 6)])
    async with rig(tmp_path, boot, stimulus=stimulus) as r:
        await r.board.run_until(lambda: r.board.life.sleeps == 6)
        assert stimulus.count("Pulse", "asleep") == r.board.life.wakes == 5
        assert stimulus.ended
