"""A mains node of which one task is silent, while all others go on."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.tests import told
from hil.tests.test_watchdog import BACK, hang

AWAKE_S, WATCH_S = 120, 10
POLL_MS = AWAKE_S * 500  # what the cycle gives a role's poll: nothing else waits so long
HEARD_S = 2 * (AWAKE_S + WATCH_S)  # within which a poll is to be heard again
CONFIG = {
    "awake_s": AWAKE_S, "watch_s": WATCH_S, "sample_s": 300, "report_s": 300, "report_records": 1,
}  # fmt: skip
# The role is never polled, and nobody but its heartbeat knows.
DEAF = (
    BACK
    + f"""
import asyncio
waits = asyncio.wait_for_ms
def deaf(what, ms, *more):
    if ms != {POLL_MS}:
        return waits(what, ms, *more)
    what.close()
    return asyncio.sleep_ms(1)
asyncio.wait_for_ms = deaf
from node import main
main.run()
"""
)


@pytest.mark.requirement("K-WDG-01")
@pytest.mark.node("lamppost", config=CONFIG)
def test_a_task_that_falls_silent_is_mended_by_the_watchdog_and_told(
    node: Node, fleet: Fleet
) -> None:
    hang(node, DEAF)
    fleet.until(lambda: told.last_cause(node, fleet) == told.WATCHDOG, HEARD_S + AWAKE_S + 900)
    assert told.last_cause(node, fleet) == told.WATCHDOG
