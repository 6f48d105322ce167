"""A journal that is full: what it gives up, and that it says so."""

import pytest

from fleet.wire import cbor
from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import Stimulus
from hil.tests import told

COVER_S = 2  # `cover_s` of a gas meter
DROPPED = "1"  # status key: records given up for want of room
SEGMENT, FEW = 1024, 8  # bytes of a file, and files: a whole one has 128 and takes long to fill
HASTE = 60  # an answer that nobody will give is waited for so many times faster
FILLS = FEW * 6  # records: more than a file has room for
FILES = 2 * 6  # alarms for more than the rest of one file
# `body`, of which each record has another time: nobody takes one for another.
FILL = """
from node.store.journal import Journal
journal = Journal("/journal", {segment}, {few})
body = {body!r}
for count, priority in {counts!r}:
    for n in range(count):
        time = int.from_bytes(body[{at}:{at} + 4], "big") + 1
        body = body[:{at}] + time.to_bytes(4, "big") + body[{at} + 4:]
        journal.append(body, priority)
"""
ROUTINE, ALARM = 0, 2


def filling(before_us: int) -> str:
    """A script that fills a node's journal, of times long before, each record of 160 bytes."""
    time = before_us // 10**6 - 10 * 24 * 3600
    values = [word for number in range(1, 17) for word in (number, 1 << 60)]
    body = cbor.encode([time, 0, *values])
    at = body.index(time.to_bytes(4, "big"))
    return FILL.format(
        segment=SEGMENT, few=FEW, body=body, at=at, counts=[(FILLS, ROUTINE), (FILES, ALARM)]
    )


@pytest.mark.requirement("K-STO-05")
@pytest.mark.node("gas-meter", config=told.HOURLY)
@pytest.mark.needs("stimulus")
def test_a_full_journal_gives_up_routine_before_alarms_and_tells(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    fleet.stop()
    node.hurry(HASTE)
    stimulus.level("cover", 1)
    node.wait(COVER_S + 10)
    node.until(lambda: node.asleep, 900)
    with node.prompt.visit() as repl:
        repl.execute(filling(node.now_us), timeout_s=600)
    node.hurry(1)
    fleet.start()
    fleet.wait_alarm("cover", node, 6 * 3600)
    assert fleet.status(node)["status"][DROPPED] > 0
    stimulus.level("cover", 0)
    node.spoilt()  # what was written here is nobody's measurement
