"""The supervisor's watchdog runs before anything that a slot brings: one that hangs is bitten."""

from pathlib import Path

from board_rig import SECOND
from trial_rig import rig

HANG = """
import time
while True:
    time.sleep(60)
"""
LONGEST_US = 600 * SECOND  # boot.py: nothing may keep a node awake for longer


async def test_an_application_that_never_starts_a_watchdog_of_its_own_is_reset(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, HANG, "pass") as r:
        began = r.board.now_us
        await r.board.run_for(LONGEST_US + 60 * SECOND)
        assert r.board.resets["watchdog"] == 1
        assert r.ran[:2] == ["old a - good"] * 2
        assert r.board.now_us - began < 2 * LONGEST_US
