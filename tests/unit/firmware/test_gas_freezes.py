"""A gas meter's hourly freezes under a clock that was wrong for a while."""

from collections.abc import Iterator
from typing import Any

import pytest
from meter_rig import SECOND, Meter

from fleet import schema
from fleet.wire import cbor

START = 1_795_413_600  # a full hour
HOUR, YEARS = 3600, 5 * 365 * 86400
VOLUME = 1


@pytest.fixture
def meter() -> Iterator[Meter]:
    found = schema.rules("gas-meter")
    config = {key: rule[-1] for key, rule in found.items() if isinstance(rule[-1], int)}
    with Meter(START, config, warned=False) as made:
        yield made


def frozen(meter: Meter) -> list[int]:
    """Times of the freezes."""
    records: list[Any] = [cbor.decode(body) for body in meter.journal.bodies]
    return [record[0] for record in records if record[2] == VOLUME]


def hour(meter: Meter) -> None:
    meter.run(HOUR * SECOND)
    meter.wake()


@pytest.mark.parametrize("cut", [False, True])
def test_one_wrong_future_time_does_not_stop_the_freezes(meter: Meter, cut: bool) -> None:
    meter.wake()
    hour(meter)
    meter.wrong_s = YEARS
    hour(meter)
    meter.wrong_s = 0
    if cut:
        meter.cut()
    for _ in range(3):
        hour(meter)
    assert frozen(meter)[:2] == [START + HOUR, START + YEARS + 2 * HOUR]
    assert frozen(meter)[2:] == [START + 4 * HOUR, START + 5 * HOUR], "one hour is lost"
