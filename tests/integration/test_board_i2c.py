"""I2C on the virtual board, and an accelerometer there through the firmware's driver."""

from pathlib import Path

from board_rig import SECOND, START, rig

from fleet.paths import firmware_dir
from hil.virtual.sensors.lis2dh12 import ADDRESS, Lis2dh12
from hil.virtual.stimulus import Do, Stimulus

SCL, SDA, INT1 = 14, 13, 11


def driver() -> str:
    """The driver, as a module that a test's boot.py can hold."""
    return (firmware_dir() / "node" / "sense" / "tilt.py").read_text()


async def test_who_does_not_answer_is_an_os_error(tmp_path: Path) -> None:
    boot = """
        import machine
        bus = machine.I2C(0, scl=machine.Pin(14), sda=machine.Pin(13), freq=100000)
        print("found", bus.scan())
        for address in (0x19, 0x18):
            try:
                print("who", bus.readfrom_mem(address, 0x0F, 1)[0])
            except OSError as e:
                print("nobody", e.errno)
        try:
            machine.I2C(0, scl=machine.Pin(1), sda=machine.Pin(2)).readfrom(0x19, 1)
        except OSError as e:
            print("no bus", e.errno)  # the chip's own pull-ups hold the wires
    """
    async with rig(tmp_path, boot) as r:
        r.board.i2c.add(SCL, SDA, ADDRESS, Lis2dh12())
        assert await r.line("no bus") == "19"
        assert (await r.line("found"), await r.line("who")) == ("[25]", "51")
        assert await r.line("nobody") == "19"


async def test_a_move_wakes_the_chip_once_and_is_known_until_it_was_asked_for(
    tmp_path: Path,
) -> None:
    boot = (
        driver()
        + """
import esp32
tilt = Tilt(14, 13)
print("woke", machine.wake_reason(), int(tilt.moved()), int(tilt.moved()))
print("felt", list(tilt.read()))
tilt.arm(200)
esp32.wake_on_ext0(machine.Pin(11, machine.Pin.IN), esp32.WAKEUP_ANY_HIGH)
machine.deepsleep()
"""
    )
    sensor = Lis2dh12()
    stimulus = Stimulus(
        [
            (START + 10 * SECOND, Do(lambda: sensor.turn(60, 0, 998))),  # a lorry goes by
            (START + 20 * SECOND, Do(lambda: sensor.turn(707, 0, 707))),
        ]
    )
    async with rig(tmp_path, boot, stimulus=stimulus) as r:
        sensor._drive = lambda level: r.board.pins.drive(INT1, level)
        r.board.i2c.add(SCL, SDA, ADDRESS, sensor)
        await r.board.run_until(lambda: r.board.life.sleeps == 2)
        await r.board.run_for(60 * SECOND)
        assert [line.split()[1:] for line in r.lines if line.startswith("woke")] == [
            ["0", "0", "0"],
            ["2", "1", "0"],
        ]
        assert r.all("felt") == [[0, 0, 1000], [707, 0, 707]]


async def test_a_quake_is_seen_in_its_peak(tmp_path: Path) -> None:
    boot = driver() + '\ntilt = Tilt(14, 13)\nprint("peak", tilt.peak(500))\n'
    for mg, seen in ((0, range(3)), (255, range(250, 260))):
        folder = tmp_path / str(mg)
        folder.mkdir()
        sensor = Lis2dh12()
        sensor.shake(mg)
        async with rig(folder, boot) as r:
            r.board.i2c.add(SCL, SDA, ADDRESS, sensor)
            assert int(await r.line("peak")) in seen
