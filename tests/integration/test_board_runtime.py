"""A new runtime on trial, on a virtual board with ESP-IDF's bootloader: it has one life to be
confirmed in, and no deep sleep.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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


async def test_a_deep_sleep_between_set_boot_and_a_reset_wakes_the_old_one(
    tmp_path: Path,
) -> None:
    # MicroPython's builds leave the choice out when they wake (SKIP_VALIDATE_IN_DEEP_SLEEP).
    app = APP.replace("machine.reset()", "machine.deepsleep(1000)")
    async with rig(tmp_path, app % "pass", "pass") as r:
        write(tmp_path, OTA_1, version())
        await r.board.run_until(lambda: r.board.life.sleeps >= 2)
        assert STAYS not in r.lines


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
