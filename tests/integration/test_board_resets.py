"""Resets, sleeps and what survives them; the watchdog; crashes."""

import asyncio
import os
import random
from pathlib import Path

import pytest
from board_rig import SECOND, START, TABLE, Twin, rig

from fleet.flashing import partitions
from hil.virtual import vmrun
from hil.virtual.board import FLASH_SIZE, BoardError
from hil.virtual.stimulus import Pulse, Stimulus

_STATE = """
    import machine, time
    memory = machine.RTC().memory()
    print("boot", [machine.reset_cause(), machine.wake_reason(), len(memory), time.time()])
    if not memory:
        machine.RTC().memory(bytes(2048))
        machine.RTC().datetime((2026, 1, 1, 0, 0, 0, 0, 0))
        machine.deepsleep(10000)
    if machine.reset_cause() == machine.DEEPSLEEP_RESET:
        machine.reset()
    if machine.reset_cause() == machine.HARD_RESET:
        machine.soft_reset()
    time.sleep(1000)
"""
_2026 = 820_540_800  # s since 2000


async def test_rtc_time_and_memory_survive_all_but_a_power_cut(tmp_path: Path) -> None:
    async with rig(tmp_path, _STATE) as r:
        await r.board.run_until(lambda: len(r.all("boot")) == 4)
        boots = r.all("boot")
        assert [boot[:3] for boot in boots] == [
            [1, 0, 0],
            [4, 4, 2048],
            [2, 0, 2048],
            [5, 0, 2048],
        ]
        assert boots[0][3] == 0
        assert all(_2026 + 10 <= boot[3] < _2026 + 12 for boot in boots[1:])
        await r.board.power_cut()
        r.board.power_on()
        await r.board.run_until(lambda: len(r.all("boot")) == 5)
        assert r.all("boot")[4] == [1, 0, 0, 0]
        assert r.board.resets["power-on"] == 2


async def test_an_rtc_memory_over_2048_bytes_is_refused(tmp_path: Path) -> None:
    boot = """
        import machine
        try:
            machine.RTC().memory(bytes(2049))
        except ValueError as e:
            print("refused", e)
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("refused") == "buffer too long"


async def test_nvs_keeps_what_was_committed_and_only_that(tmp_path: Path) -> None:
    boot = """
        import esp32, machine
        nvs = esp32.NVS("app")
        def get(key):
            try:
                return nvs.get_i32(key)
            except OSError as e:
                return e.errno
        buf = bytearray(8)
        if machine.reset_cause() == machine.PWRON_RESET:
            nvs.set_i32("kept", -5)
            nvs.set_blob("blob", b"ab\\x00c")
            nvs.set_blob("empty", b"")
            nvs.commit()
            nvs.set_i32("kept", 6)
            nvs.set_i32("lost", 7)
            print("seen", get("kept"), get("lost"))
            machine.reset()
        print("after", get("kept"), get("lost"), nvs.get_blob("blob", buf), bytes(buf[:4]))
        print("empty", nvs.get_blob("empty", buf), get("blob"))
        try:
            nvs.get_blob("blob", bytearray(2))
        except OSError as e:
            print("short", e.errno)
        try:
            nvs.set_i32("k" * 16, 1)
        except OSError as e:
            print("long", e.errno)
        nvs.erase_key("kept")
        nvs.commit()
        print("erased", get("kept"))
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("seen") == "6 7"
        assert await r.line("after") == "-5 -4354 4 b'ab\\x00c'"
        assert await r.line("empty") == "0 -4355"
        assert await r.line("short") == "-4364"
        assert await r.line("long") == "-4361"
        assert await r.line("erased") == "-4354"
        assert r.board.nvs.keys("app") == ["blob", "empty"]


_HANG = """
    import machine, asyncio, time
    print("boot", [machine.reset_cause(), time.ticks_ms()])
    if machine.reset_cause() == machine.WDT_RESET:
        print("bitten")
        machine.deepsleep()
    wdt = machine.WDT(timeout=600_000)
    wdt = machine.WDT(timeout=30_000)
    {hang}
"""


@pytest.mark.parametrize(
    "hang",
    [
        "asyncio.run(asyncio.Event().wait())",
        "time.sleep(1_000_000)",
        "raise ValueError('at top')",
        "machine.lightsleep()",
        "while True: pass",
    ],
)
async def test_the_watchdog_bites_at_its_deadline(tmp_path: Path, hang: str) -> None:
    async with rig(tmp_path, _HANG.format(hang=hang)) as r:
        await r.line("bitten")
        assert r.board.resets == {"power-on": 1, "watchdog": 1}
        assert 30 * SECOND <= r.board.now_us - START < 32 * SECOND


async def test_time_passes_for_a_loop_that_no_watchdog_ends(tmp_path: Path) -> None:
    boot = """
        print("loops")
        while True:
            pass
    """
    async with rig(tmp_path, boot) as r:
        await r.line("loops")
        began = r.board.now_us
        await r.board.run_for(3600 * SECOND)
        assert r.board.now_us - began >= 3600 * SECOND
        assert r.board.resets == {"power-on": 1}


async def test_a_loop_that_ends_after_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("_SILENT_S", "_SILENT_CPU_S", "_LOOK_S"):
        monkeypatch.setattr(vmrun, limit, 0.02)
    boot = """
        import time
        print("loops")
        for _ in range(5_000_000):
            pass
        time.sleep_ms(1)
        print("over")
    """
    async with rig(tmp_path, boot) as r:
        await r.line("loops")
        await r.line("over")
        assert r.board.resets == {"power-on": 1}


async def test_the_watchdog_bites_a_loop_that_reads_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vmrun, "_SPINNING_S", 2.0)
    async with rig(tmp_path, _HANG.format(hang="while True: time.time()")) as r:
        await r.line("bitten")


async def test_a_fed_watchdog_does_not_bite(tmp_path: Path) -> None:
    boot = """
        import machine, time
        wdt = machine.WDT(timeout=1000)
        for _ in range(100):
            time.sleep_ms(999)
            wdt.feed()
        print("lived", machine.reset_cause())
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("lived") == "1"


_WAKE = """
    import esp32, machine
    print("wake", [machine.reset_cause(), machine.wake_reason()])
    reed = machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_DOWN)
    button = machine.Pin(5, machine.Pin.IN, machine.Pin.PULL_DOWN)
    esp32.wake_on_ext0(reed, esp32.WAKEUP_ANY_HIGH)
    esp32.wake_on_ext1((button,), esp32.WAKEUP_ANY_HIGH)
    while reed.value() or button.value():
        machine.lightsleep(50)
        import time
        time.sleep_ms(50)
    machine.deepsleep(3_600_000)
"""


async def test_deep_sleep_ends_by_stimulus_button_and_timer(tmp_path: Path) -> None:
    stimulus = Stimulus([(START + 60 * SECOND, Pulse(4, 400_000))])
    async with rig(tmp_path, _WAKE, stimulus=stimulus) as r:
        await r.board.run_until(lambda: r.board.life.wakes == 1)
        assert 60 * SECOND <= r.board.now_us - START <= 60 * SECOND + 1000
        await r.board.run_until(lambda: r.board.life.sleeps == 2)
        r.board.press(5)
        await r.board.run_until(lambda: r.board.life.sleeps == 3)
        await r.board.run_until(lambda: len(r.all("wake")) == 4)
        assert r.all("wake") == [[1, 0], [4, 2], [4, 3], [4, 4]]
        assert stimulus.count("Pulse", "asleep") == 1


async def test_a_level_that_is_already_there_wakes_at_once(tmp_path: Path) -> None:
    boot = """
        import esp32, machine
        print("wake", machine.wake_reason())
        esp32.wake_on_ext0(machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_UP), True)
        machine.deepsleep(60_000)
    """
    async with rig(tmp_path, boot) as r:
        await r.board.run_until(lambda: r.board.life.wakes == 3)
        assert r.board.now_us - START < 2 * SECOND


async def test_a_crash_is_kept_and_the_board_restarts(tmp_path: Path) -> None:
    boot = """
        import machine
        print("boot", machine.reset_cause())
        if machine.reset_cause() != machine.SOFT_RESET:
            raise KeyError("valve")
        print("again")
    """
    async with rig(tmp_path, boot) as r:
        await r.line("again")
        assert r.board.life.crashes == 1
        assert r.board.life.last_crash == "KeyError: valve"
        assert "Traceback" in r.board.console_tail
        assert r.board.now_us - START >= SECOND


async def test_main_py_runs_after_boot_py_and_exit_is_a_soft_reset(tmp_path: Path) -> None:
    boot = """
        import machine, os
        if machine.reset_cause() == machine.SOFT_RESET:
            machine.deepsleep()
        with open("/main.py", "w") as f:
            f.write("import sys\\nprint('main', __name__)\\nsys.exit()")
    """
    async with rig(tmp_path, boot) as r:
        assert await r.line("main") == "__main__"
        await r.board.run_until(lambda: r.board.state == "asleep")
        assert r.board.resets["soft"] == 1


async def test_twins_learn_of_power_sleep_and_pins(tmp_path: Path) -> None:
    boot = """
        import machine
        machine.Pin(7, machine.Pin.OUT, value=1)
        machine.deepsleep(1000)
    """
    twin = Twin()
    async with rig(tmp_path, boot, twins={1: twin}, wires={7: (1, "pwrkey")}) as r:
        await r.board.run_until(lambda: r.board.life.sleeps == 1)
        await r.board.power_cut()
    assert twin.events == ["on", "pwrkey=1", "pwrkey=0", "sleep", "off"]


async def test_a_vm_that_cannot_mount_its_flash_is_one_clear_error(tmp_path: Path) -> None:
    async with rig(tmp_path, "print('never')") as r:
        vfs = partitions.find(r.board.table, "vfs")
        with r.board.flash_path.open("r+b") as file:
            file.seek(vfs.offset)
            file.write(b"\x00" * vfs.size)
        with pytest.raises(BoardError, match="5 times in a row"):
            await r.board.run_until(lambda: False)
        assert r.board.state == "off"


async def test_power_cuts_at_random_moments_leave_a_board_that_boots(tmp_path: Path) -> None:
    boot = """
        import os
        try:
            with open("/n") as f:
                n = int(f.read())
        except OSError:
            n = 0
        print("start", n)
        while True:
            n += 1
            with open("/new", "w") as f:
                f.write(str(n))
            os.rename("/new", "/n")
    """
    chance = random.Random(7)
    async with rig(tmp_path, boot) as r:
        for cut in range(1, 11):
            if r.board.state == "off":
                r.board.start()
            await r.board.run_until(lambda cut=cut: len(r.all("start")) >= cut)  # type: ignore[misc]
            await asyncio.sleep(chance.random() * 0.03)
            await r.board.power_cut()
        starts = r.all("start")
        assert starts == sorted(starts)
        assert starts[-1] > 0


async def test_a_power_cut_in_the_erase_of_block_0_does_not_cost_the_file_system(
    tmp_path: Path,
) -> None:
    boot = """
        import os, time
        with open("/n", "w") as f:
            f.write("x" * 200)
        os.remove("/n")
        print("files", len(os.listdir("/")))
        time.sleep(1)
        import machine
        machine.reset()
    """
    vfs = partitions.find(partitions.load(TABLE, FLASH_SIZE), "vfs").offset

    def newer() -> int:
        """The block of the superblock pair that counts: LittleFS's SPEC.md, revision count."""
        with (tmp_path / "flash.bin").open("rb") as file:
            file.seek(vfs)
            first = file.read(4)
            file.seek(vfs + 4096)
            second = file.read(4)
        return int(int.from_bytes(second, "little") > int.from_bytes(first, "little"))

    async with rig(tmp_path, boot) as r:
        while not r.board.life.boots or not newer():
            seen = len(r.all("files"))
            await r.board.run_until(lambda seen=seen: len(r.all("files")) > seen)  # type: ignore[misc]
        await r.board.power_cut()
        with (tmp_path / "flash.bin").open("r+b") as file:
            file.seek(vfs)
            file.write(b"\xff" * 4096)
        seen = len(r.all("files"))
        r.board.power_on()
        await r.board.run_until(lambda: len(r.all("files")) > seen)
        assert r.all("files")[-1] == 1


async def test_the_vm_starts_quickly(tmp_path: Path) -> None:
    async with rig(tmp_path, "import machine; machine.deepsleep(1000)") as r:
        await r.board.run_until(lambda: r.board.life.sleeps == 1)
        began = sum(os.times()[:4])  # of the CPU, which does not count what else the machine does
        await r.board.run_until(lambda: r.board.life.sleeps == 12)
    assert sum(os.times()[:4]) - began < 12 * 0.2  # 20 to 50 ms each


async def test_twenty_boards_share_one_loop(tmp_path: Path) -> None:
    boot = """
        import asyncio, machine
        async def main():
            for _ in range(20):
                await asyncio.sleep(1)
        asyncio.run(main())
        machine.deepsleep(3_600_000)
    """
    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            for n in range(20):
                folder = tmp_path / str(n)
                folder.mkdir()
                group.create_task(_sleeps(folder, boot))


async def _sleeps(folder: Path, boot: str) -> None:
    async with rig(folder, boot) as r:
        await r.board.run_until(lambda: r.board.life.sleeps == 3, 50)
        assert r.board.resets == {"power-on": 1, "deep-sleep": 2}
