"""A new application on trial: what becomes of it without a person, on a virtual board whose
supervisor is the firmware's own.
"""

from pathlib import Path
from textwrap import dedent

import pytest
from trial_rig import Rig, rig

from fleet.paths import firmware_dir

HOUR_US = 3_600_000_000
# The old version activates the new one once, and says what came back.
OLD = """
back = slots.rolled()
if back:
    print("back", back)
    machine.deepsleep(0)
if slots.standing(2) == "back" and slots.floor() < 2:
    slots.activate(2)
    machine.reset()
machine.deepsleep(3600_000)
"""
BACK_CRASHED, BACK_IMPORT, BACK_NETWORK = "back (2, 1)", "back (2, 2)", "back (2, 3)"
HOURLY = "machine.deepsleep(3600_000)"


async def lived(r: Rig, what: str, times: int) -> None:
    """Until it ran so often."""
    await r.board.run_until(lambda: r.ran.count(what) >= times)


async def test_one_that_crashes_is_back_after_three_lives(tmp_path: Path) -> None:
    async with rig(tmp_path, OLD, "raise RuntimeError") as r:
        await r.until(BACK_CRASHED)
        assert r.ran == ["old a - good", *["new b a trial"] * 3, "old a - good"]


async def test_one_that_resets_itself_or_is_bitten_is_back_too(tmp_path: Path) -> None:
    new = """
    if machine.reset_cause() == machine.WDT_RESET:
        machine.reset()
    machine.WDT(timeout=1000)
    while True:
        pass
    """
    async with rig(tmp_path, OLD, new) as r:
        await r.until(BACK_CRASHED)
        assert r.ran.count("new b a trial") == 3


async def test_one_that_cannot_be_imported_is_back_at_once(tmp_path: Path) -> None:
    async with rig(tmp_path, OLD, "pass", head="import nothing_like_it\n") as r:
        await r.until(BACK_IMPORT)
        assert r.ran == ["old a - good"] * 2


async def test_a_damaged_one_is_back_at_once(tmp_path: Path) -> None:
    old = """
    if slots.rolled() is None:
        with open("/b.romfs", "r+b") as file:
            file.seek(700)
            file.write(b"damage")
    """
    async with rig(tmp_path, dedent(old) + OLD, "pass") as r:
        await r.until(BACK_IMPORT)
        assert r.ran == ["old a - good"] * 2


async def test_one_that_reaches_nobody_is_back_after_48_hours_and_three_contacts(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, OLD, f"slots.contact()\n{HOURLY}") as r:
        began = r.board.now_us
        await r.until(BACK_NETWORK)
        assert 47.9 < (r.board.now_us - began) / HOUR_US < 49.5


async def test_two_contacts_are_none_too_few_before_96_hours(tmp_path: Path) -> None:
    new = f"""
    if len(os.listdir("/")) and slots._noted()[1][3] < 2:
        slots.contact()
    {HOURLY}
    """
    async with rig(tmp_path, OLD, new) as r:
        began = r.board.now_us
        await r.until(BACK_NETWORK)
        assert 95.9 < (r.board.now_us - began) / HOUR_US < 97.5


async def test_one_night_without_a_network_takes_nothing_back(tmp_path: Path) -> None:
    # 40 hours of failed contacts, then one that is acknowledged.
    new = f"""
    if slots.on_trial():
        slots.contact()
        if slots._noted()[1][4] > 40 * 3600:
            slots.confirm()
            print("confirmed", slots.floor(), slots.rolled())
    {HOURLY}
    """
    async with rig(tmp_path, OLD, new) as r:
        await r.until("confirmed 2 None")
        await r.board.run_for(100 * HOUR_US)
        assert r.ran[-1] == "new b - good"
        assert not r.board.life.crashes


@pytest.mark.parametrize("years", [10, -20])
async def test_a_clock_that_jumps_ends_no_trial(tmp_path: Path, years: int) -> None:
    new = f"""
    slots.contact()
    lives = slots._noted()[1][4]
    year = machine.RTC().datetime()[0]
    if year == 2026:
        machine.RTC().datetime((year + {years}, 1, 1, 0, 0, 0, 0, 0))
    {HOURLY}
    """
    async with rig(tmp_path, OLD, new) as r:
        await r.until("runs old a - good")
        await r.board.run_for(20 * HOUR_US)
        assert r.ran[-1] == "new b a trial"


async def test_crashes_with_a_life_between_them_do_not_add_up(tmp_path: Path) -> None:
    new = """
    if len(slots.pointer()) and machine.RTC().memory() == b"x":
        machine.RTC().memory(b"")
        raise RuntimeError
    machine.RTC().memory(b"x")
    machine.deepsleep(3600_000)
    """
    async with rig(tmp_path, OLD, new) as r:
        await r.until("runs old a - good")
        await r.board.run_for(12 * HOUR_US)
        assert r.ran[-1] == "new b a trial"
        assert r.ran.count("new b a trial") > 10


@pytest.mark.parametrize("ends", ["browns out", "ends by itself"])
async def test_one_whose_lives_end_before_their_contact_does_is_back(
    tmp_path: Path, ends: str
) -> None:
    """No crash, and no time that the RTC tells: the supply fails, or `sys.exit`."""
    new = "sys.exit()" if ends == "ends by itself" else "while True: time.sleep(1)"
    async with rig(tmp_path, OLD, new, head="import time\n") as r:
        for lives in range(1, 10):
            await lived(r, "new b a trial", lives)
            if ends == "browns out":
                await r.board.power_cut()
                r.board.power_on()
        await r.until(BACK_CRASHED)
        assert r.ran.count("new b a trial") == 9


async def test_power_that_fails_between_contacts_takes_nothing_back(tmp_path: Path) -> None:
    new = "slots.contact()\nwhile True: time.sleep(1)"
    async with rig(tmp_path, OLD, new, head="import time\n") as r:
        for lives in range(1, 16):
            await lived(r, "new b a trial", lives)
            await r.board.run_for(5_000_000)
            await r.board.power_cut()
            r.board.power_on()
        assert r.ran[-1] == "new b a trial"


async def test_one_that_never_sleeps_and_makes_no_contact_is_back(tmp_path: Path) -> None:
    """It neither crashes nor starves the watchdog, and its supply fails each day."""
    new = """
    async def idle():
        wdt = machine.WDT(timeout=600_000)
        while True:
            wdt.feed()
            await asyncio.sleep(300)
    asyncio.run(idle())
    """
    async with rig(tmp_path, OLD, new, head="import asyncio\n") as r:
        await r.until("runs new b a trial")
        began = r.board.now_us
        for _ in range(3):
            await r.board.run_for(24 * HOUR_US + HOUR_US // 2)
            await r.board.power_cut()
            r.board.power_on()
        await r.until(BACK_NETWORK)
        assert 95 < (r.board.now_us - began) / HOUR_US < 100


async def test_a_pointer_that_cannot_be_read_is_not_one_that_was_never_written(
    tmp_path: Path,
) -> None:
    """What lies at /a.romfs behind an update nobody may have verified."""
    boot = (firmware_dir() / "boot.py").read_bytes()
    ill = (
        b'import builtins, os\ndef open(path, *more):\n    if path == "/slot": raise OSError(5)\n'
    )
    ill += b"    return builtins.open(path, *more)\n"
    guard = b"words = ["
    assert boot.count(guard) == 1
    files = {"/boot.py": boot.replace(guard, ill + guard), "/slot": b"b - good"}
    async with rig(tmp_path, OLD, "pass", files=files) as r:
        await r.board.run_until(lambda: r.board.life.sleeps >= 1)
        assert not r.ran
        assert "kapok: the slot does not start, so the rescue application does" in r.lines


async def test_sabotage_a_supervisor_that_does_not_count_keeps_what_crashes(
    tmp_path: Path,
) -> None:
    text = (firmware_dir() / "trial.py").read_bytes()
    assert b"_LIVES = const(3)" in text
    files = {"/trial.py": text.replace(b"_LIVES = const(3)", b"_LIVES = const(1000)")}
    async with rig(tmp_path, OLD, "raise RuntimeError", files=files) as r:
        await r.board.run_until(lambda: len(r.ran) > 8)
        assert r.ran[-1] == "new b a trial"
