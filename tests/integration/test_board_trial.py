"""A new application on trial: what becomes of it without a person, on a virtual board whose
supervisor is the firmware's own.
"""

from pathlib import Path
from textwrap import dedent

import pytest
from trial_rig import rig

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


async def test_sabotage_a_supervisor_that_does_not_count_keeps_what_crashes(
    tmp_path: Path,
) -> None:
    text = (firmware_dir() / "trial.py").read_bytes()
    assert b"_LIVES = const(3)" in text
    files = {"/trial.py": text.replace(b"_LIVES = const(3)", b"_LIVES = const(1000)")}
    async with rig(tmp_path, OLD, "raise RuntimeError", files=files) as r:
        await r.board.run_until(lambda: len(r.ran) > 8)
        assert r.ran[-1] == "new b a trial"
