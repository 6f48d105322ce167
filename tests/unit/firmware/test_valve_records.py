"""What a valve's records and answers say of where it stands, each time that it moves."""

from collections.abc import Iterator

import pytest
from valve_rig import OPENED_UP, SHUT, Meter, World, firmware

from fleet.wire import command

CLOSE, ARM = command.VALVE_CLOSE, command.VALVE_ARM
CLOSED = 15
VALVE = 11
EVENT = 1000


def press(meter: Meter) -> None:
    """The button wakes the node, and is held for four seconds."""
    meter.world.ms += 1000
    meter.world.pressed.append((meter.world.ms, meter.world.ms + 4000))
    meter.look(button=True)


@pytest.fixture
def meter() -> Iterator[Meter]:
    world = World()
    with firmware(world) as modules:
        yield Meter(world, modules)


def test_one_that_closed_by_itself_says_where_it_stands_at_both_ends(meter: Meter) -> None:
    meter.world.position = 300
    meter.look()
    (began,) = meter.journal.records()
    assert began[2:4] == [EVENT + CLOSED, 1]
    assert dict(zip(began[4::2], began[5::2], strict=True))[VALVE] == 1
    assert meter.command(ARM, [600], meter.world.now) == (command.DONE, 1)
    press(meter)
    assert meter.world.position == OPENED_UP
    ended = meter.journal.records()[-1]
    assert ended[2:] == [EVENT + CLOSED, 0, VALVE, 0]


def test_one_that_a_command_closed_says_so_without_an_event(meter: Meter) -> None:
    assert meter.command(CLOSE, [], meter.world.now) == (command.DONE, 1)
    assert meter.command(ARM, [600], meter.world.now) == (command.DONE, 1)
    assert meter.world.position == SHUT
    press(meter)
    assert [record[2:] for record in meter.journal.records()] == [[VALVE, 1], [VALVE, 0]]
    assert meter.journal.events() == []
