"""A new runtime on trial, on a virtual board with ESP-IDF's bootloader: it has one life to be
confirmed in, and no deep sleep.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from trial_rig import OTA_1, Rig, rig, write

from hil.virtual import runtime_image

# What is on trial confirms itself, or not; "%s" is what its first life does.
APP = """
label = esp32.Partition(esp32.Partition.RUNNING).info()[4]
print("on", label, sys.implementation.version[:3], slots.rolled())
if slots.on_trial():
    %s
elif label == "ota_0" and slots.rolled() is None and machine.RTC().memory() == b"":
    machine.RTC().memory(b"once")
    try:
        slots.activate_runtime(7)
    except OSError as e:
        print("refused", e.errno, " ".join(slots.pointer()))
    else:
        machine.reset()
machine.deepsleep(3600_000)
"""
# Feeds the watchdog, and nothing else.
IDLE = """
async def idle():
    import asyncio
    wdt = machine.WDT(timeout=600_000)
    while True:
        wdt.feed()
        await asyncio.sleep(300)
"""
HOUR_US = 3_600_000_000
STAYS = "on ota_1 (1, 28, 1) None"


@asynccontextmanager
async def updating(folder: Path, first: str, runtime: bytes) -> AsyncIterator[Rig]:
    async with rig(folder, APP % first, "pass") as r:
        write(folder, OTA_1, runtime)
        yield r


def version(*, crashes: bool = False) -> bytes:
    return runtime_image.app("esp32s3", "1.28.1", crashes=crashes)


async def test_one_that_the_fleet_acknowledges_stays_whatever_happens_then(
    tmp_path: Path,
) -> None:
    async with updating(tmp_path, "slots.confirm()", version()) as r:
        await r.until(STAYS)
        await r.board.run_until(lambda: r.board.life.sleeps >= 2)
        await r.board.power_cut()
        r.board.power_on()
        before = len(r.lines)
        await r.board.run_until(lambda: r.board.life.sleeps >= 4)
        assert [line for line in r.lines[before:] if line.startswith("on")] == [STAYS] * 2
        assert r.ran[-1] == "old a - good"


async def test_one_that_sleeps_before_it_is_confirmed_is_gone(tmp_path: Path) -> None:
    async with updating(tmp_path, "machine.deepsleep(60_000)", version()) as r:
        await r.until("on ota_0 (1, 29, 0) (7, 4)")
        assert r.lines.count(STAYS) == 1


async def test_one_on_which_the_application_crashes_is_gone(tmp_path: Path) -> None:
    async with updating(tmp_path, "raise RuntimeError", version()) as r:
        await r.until("on ota_0 (1, 29, 0) (7, 1)")


async def test_one_that_reached_nobody_is_gone_by_its_own_word(tmp_path: Path) -> None:
    async with updating(tmp_path, "slots.give_up(3); machine.reset()", version()) as r:
        await r.until("on ota_0 (1, 29, 0) (7, 3)")


async def test_one_that_crashes_before_anything_of_ours_is_taken_back_by_the_bootloader(
    tmp_path: Path,
) -> None:
    async with updating(tmp_path, "pass", version(crashes=True)) as r:
        await r.until("on ota_0 (1, 29, 0) (7, 5)")
        assert any("Guru Meditation" in line for line in r.lines)


async def test_one_whose_power_fails_in_its_life_is_taken_back_by_the_bootloader(
    tmp_path: Path,
) -> None:
    async with updating(tmp_path, "import time; time.sleep(30)", version()) as r:
        await r.until(STAYS)
        await r.board.power_cut()
        r.board.power_on()
        await r.until("on ota_0 (1, 29, 0) (7, 5)")


async def test_one_that_is_damaged_never_boots(tmp_path: Path) -> None:
    runtime = bytearray(version())
    runtime[100_000] ^= 1
    async with updating(tmp_path, "pass", bytes(runtime)) as r:
        await r.until("refused -5379 a - good")


# Instead of the reset that was to come behind `set_boot`.
INSTEAD = {
    "sleeps": "machine.deepsleep(1000)", "fails": "raise MemoryError", "ends": "sys.exit()",
}  # fmt: skip


@pytest.mark.parametrize("what", INSTEAD)
async def test_one_that_crashes_is_gone_whatever_came_between_set_boot_and_the_reset(
    tmp_path: Path, what: str
) -> None:
    """MicroPython's builds leave the choice out when they wake (SKIP_VALIDATE_IN_DEEP_SLEEP): what
    wakes then is the old one, and its mark must not be the new one's.
    """
    app = APP.replace("machine.reset()", INSTEAD[what])
    async with rig(tmp_path, app % "pass", "pass") as r:
        write(tmp_path, OTA_1, version(crashes=True))
        await r.until("on ota_0 (1, 29, 0) (7, 5)")
        await r.board.run_until(lambda: r.board.life.sleeps >= 3)
        await r.board.power_cut()
        r.board.power_on()
        before = len(r.lines)
        await r.board.run_until(lambda: r.ran[-1:] == ["old a - good"] and len(r.lines) > before)
        assert not any("Guru" in line for line in r.lines[before:])


async def test_one_that_was_slept_over_gets_its_life(tmp_path: Path) -> None:
    app = APP.replace("machine.reset()", INSTEAD["fails"])
    async with rig(tmp_path, app % "slots.confirm()", "pass") as r:
        write(tmp_path, OTA_1, version())
        await r.until(STAYS)
        await r.board.run_until(lambda: r.board.life.sleeps >= 3)
        assert r.ran[-1] == "old a - good"
        assert [line for line in r.lines if line.startswith("on")][-1] == STAYS


async def test_one_that_was_confirmed_stays_where_the_same_life_ends_in_a_crash(
    tmp_path: Path,
) -> None:
    async with updating(tmp_path, "slots.confirm(); raise RuntimeError", version()) as r:
        await r.until(STAYS)
        await r.board.run_until(lambda: r.board.life.sleeps >= 3)
        assert [line for line in r.lines if line.startswith("on")][-2:] == [STAYS] * 2


async def test_one_that_lives_on_and_does_nothing_is_gone(tmp_path: Path) -> None:
    """A node that never sleeps, on a runtime with which it makes no contact."""
    first = "import asyncio; asyncio.run(idle())"
    async with rig(tmp_path, IDLE + APP % first, "pass") as r:
        write(tmp_path, OTA_1, version())
        await r.until(STAYS)
        began = r.board.now_us
        await r.until("on ota_0 (1, 29, 0) (7, 3)")
        assert 23.9 < (r.board.now_us - began) / HOUR_US < 25


async def test_sabotage_without_the_supervisor_s_look_a_runtime_that_sleeps_stays(
    tmp_path: Path,
) -> None:
    boot = (Path(__file__).parents[2] / "firmware" / "boot.py").read_bytes()
    guard = b'if words[2] != "good":\n        words = tried'
    assert guard in boot
    files = {"/boot.py": boot.replace(guard, b"if False:\n        words = tried")}
    async with rig(tmp_path, APP % "machine.deepsleep(60_000)", "pass", files=files) as r:
        write(tmp_path, OTA_1, version())
        await r.board.run_until(lambda: r.lines.count(STAYS) > 3)
