"""Which pins end the sleep of a battery node beside those of its role."""

import sys
import types
from typing import Any

import esp32
import pytest
from firmware_modules import forget, fresh

BUTTON, COVER = 6, 12


@pytest.mark.parametrize(("held", "armed"), [(0, [COVER, BUTTON]), (1, [COVER])])
def test_a_button_that_is_held_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, held: int, armed: list[int]
) -> None:
    machine: Any = types.ModuleType("machine")

    class Pin:
        IN, PULL_DOWN = 1, 1

        def __init__(self, number: int, *_: int) -> None:
            self.number = number

        def value(self) -> int:
            return held

    machine.Pin, machine.EXT1_WAKE, machine.deepsleep = Pin, 3, lambda *_: None
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setattr(esp32, "WAKEUP_ANY_HIGH", True, raising=False)
    woken: list[int] = []
    monkeypatch.setattr(
        esp32, "wake_on_ext1", lambda pins, _: woken.extend(pin.number for pin in pins),
        raising=False,
    )  # fmt: skip
    forget("cycle")
    app = object.__new__(fresh("app").App)
    app.role = types.SimpleNamespace(arm=lambda: [Pin(COVER)])
    app.config = {"pins": {"button": BUTTON}}
    app.state = types.SimpleNamespace(save=lambda: None)
    app.cycle = types.SimpleNamespace(energy=types.SimpleNamespace(rest=lambda: None))
    app._sleep(None)
    assert woken == armed
