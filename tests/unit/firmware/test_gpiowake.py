"""Who called on a chip that tells only that one of its pins did."""

import sys
import types
from typing import Any

import pytest
from firmware_modules import fresh

SENSOR, BUTTON = 2, 3
WAKE, KEY, PULSE = 1, 5, 4


@pytest.mark.parametrize(
    ("pins", "high", "who"),
    [
        ({"wake": WAKE, "button": KEY}, [WAKE], SENSOR),
        ({"wake": WAKE, "button": KEY}, [], BUTTON),
        ({"wake": WAKE, "button": KEY}, [WAKE, KEY], BUTTON),
        ({"wake": WAKE}, [], SENSOR),
        ({"button": KEY}, [], BUTTON),
        ({"pulse": PULSE, "button": KEY}, [PULSE], SENSOR),
        ({"pulse": PULSE, "button": KEY}, [], SENSOR),
        ({"pulse": PULSE, "button": KEY}, [KEY], BUTTON),
        ({"pulse": PULSE, "button": KEY, "wake": WAKE}, [], SENSOR),
        ({"pulse": PULSE}, [], SENSOR),
    ],
)
def test_a_pulse_is_not_the_button(
    monkeypatch: pytest.MonkeyPatch, pins: dict[str, int], high: list[int], who: int
) -> None:
    class Pin:
        IN = 1

        def __init__(self, number: int, mode: int) -> None:
            self._number = number

        def value(self) -> int:
            return int(self._number in high)

    machine: Any = types.ModuleType("machine")
    machine.Pin, machine.EXT0_WAKE, machine.EXT1_WAKE = Pin, SENSOR, BUTTON
    monkeypatch.setitem(sys.modules, "machine", machine)
    assert fresh("sense.gpiowake").reason(pins) == who
