"""Pulses of one contact on a chip without ULP: any sequence of contacts, sleeps and bounces."""

import importlib
import sys
import types
from typing import Any

import pytest
from firmware_modules import forget, fresh
from hypothesis import given
from hypothesis import strategies as st

GPIO_WAKE, TIMER_WAKE = 7, 4
BOUNCE_MS = 20


class Chip:
    """`machine` and `time` of a chip with one contact."""

    def __init__(self) -> None:
        self.closed = 0
        self.ms = 0
        self.reason = TIMER_WAKE
        self.handlers: list[Any] = []
        self.modes: list[Any] = []
        chip = self

        class Pin:
            IN, PULL_DOWN, IRQ_RISING, IRQ_FALLING = "in", "down", 1, 2

            def __init__(self, number: int, *how: Any) -> None:
                assert number == 4
                chip.modes.append(how)

            def value(self) -> int:
                return chip.closed

            def irq(self, handler: Any, trigger: int) -> None:
                assert trigger == 3, "both edges"
                chip.handlers = [handler]

        self.machine = types.ModuleType("machine")
        self.machine.Pin = Pin  # type: ignore[attr-defined]
        self.machine.wake_reason = lambda: self.reason  # type: ignore[attr-defined]

    def to(self, closed: int) -> None:
        """The contact moves, and the chip, being awake, hears it."""
        if closed != self.closed:
            self.closed = closed
            for handler in self.handlers:
                handler(None)


class State(dict[Any, Any]):
    """As RtcState: `saved` is what a reset leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[Any, Any] = {}

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def save(self) -> None:
        self.saved = dict(self)


class Meter:
    """A gas meter's contact, and the counter of a node with these pins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **pins: int) -> None:
        self.chip = Chip()
        monkeypatch.setitem(sys.modules, "machine", self.chip.machine)
        self.module: Any = fresh("sense.pulse")
        self.opened: list[Any] = []
        clock = types.SimpleNamespace(ticks_ms=lambda: self.chip.ms, ticks_diff=lambda a, b: a - b)
        wake = types.SimpleNamespace(GPIO_WAKE=GPIO_WAKE, open=self.opened.append)
        monkeypatch.setattr(self.module, "time", clock)
        monkeypatch.setitem(sys.modules, "node.sense.gpiowake", wake)
        monkeypatch.setattr(sys.modules["node.sense"], "gpiowake", wake, raising=False)
        self.config = {"pins": {"pulse": 4, **pins}}
        self.state = State()
        self.boot()

    def boot(self, reason: int = TIMER_WAKE) -> None:
        kept = self.state.saved
        self.state = State()
        self.state.update(kept)
        self.state.saved = dict(kept)
        self.chip.reason = reason
        self.counter = self.module.PulseInput(self.config, self.state)

    def sleep(self) -> list[Any]:
        pins: list[Any] = self.counter.arm(0)
        self.chip.handlers = []
        return pins


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    made = Meter(monkeypatch)
    made.counter.start(7, 0)
    return made


def test_its_pin_is_an_input_that_is_pulled_down(meter: Meter) -> None:
    assert meter.chip.modes == [("in", "down")]


def test_a_start_is_known_by_its_mark_also_behind_a_reset(meter: Meter) -> None:
    assert meter.counter.alive(7)
    assert not meter.counter.alive(8)
    meter.boot()
    assert meter.counter.alive(7)
    assert meter.counter.fits()


def test_a_counter_that_was_never_started_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Meter(monkeypatch).counter.alive(0)


@pytest.mark.parametrize(
    ("place", "closed", "pulses"),
    [
        (0, 0, 0),
        (0, 1, 1),  # it has closed since it was looked at last
        (1, 1, 0),  # it was closed then
        (256, 1, 0),  # taken as it is now
        (257, 1, 0),
        (-1, 1, 0),  # a new meter
        (4 << 4, 1, 1),  # as `place` says it of an open contact
        (4 << 4 | 1, 1, 0),
    ],
)
def test_what_a_start_counts(meter: Meter, place: int, closed: int, pulses: int) -> None:
    meter.chip.closed = closed
    meter.counter.start(9, place)
    assert meter.counter.read() == [pulses, 0, 0]
    assert meter.counter.place() == 64 + closed
    assert meter.state.saved["cnt"] == [9, pulses, closed]


@given(steps=st.lists(st.sampled_from(["close", "rattle", "open", "sleep"]), max_size=40))
def test_each_closing_is_one_pulse_awake_and_asleep(steps: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        meter = Meter(patch)
        meter.counter.start(1, 0)
        pulses = asleep_since = 0
        asleep = False
        for step in steps:
            meter.chip.ms += 10 * BOUNCE_MS
            if step == "sleep":
                if not asleep:
                    pins = meter.sleep()
                    assert bool(pins) is not bool(meter.chip.closed), "armed for the next closing"
                    asleep, asleep_since = True, meter.chip.closed
                continue
            closed = int(step != "open")
            moved = closed != meter.chip.closed
            pulses += moved and closed
            if asleep and moved:
                # The edge ends the sleep: of one that was closed, too (gpiowake.open).
                assert closed is not asleep_since
                meter.chip.closed = closed
                meter.boot(GPIO_WAKE if closed else TIMER_WAKE)
                meter.counter._look()
                asleep = False
            else:
                meter.chip.to(closed)
                if step == "rattle" and moved:
                    meter.chip.ms += BOUNCE_MS - 1
                    meter.chip.to(0)
                    meter.chip.to(1)
        if not asleep:
            meter.counter.arm(0)
        assert meter.counter.read() == [pulses, 0, 0]
        assert meter.state.saved["cnt"][1] == pulses, "it lies in RTC memory at every pulse"


def test_a_pulse_that_is_over_when_the_chip_has_booted_counts(meter: Meter) -> None:
    meter.sleep()
    meter.boot(GPIO_WAKE)
    assert meter.counter.read() == [1, 0, 0]
    assert meter.counter.place() == 64, "and its contact is open again"


def test_with_a_button_an_open_contact_is_no_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(monkeypatch, button=5)
    meter.counter.start(1, 0)
    meter.sleep()
    meter.boot(GPIO_WAKE)
    assert meter.counter.read() == [0, 0, 0]
    meter.sleep()
    meter.chip.closed = 1
    meter.boot(GPIO_WAKE)
    assert meter.counter.read() == [1, 0, 0]


def test_a_closed_contact_is_waited_for_to_open_behind_a_contact_with_the_fleet_too(
    meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a contact puts `node.sense` away: the app arms the button with what it loads anew."""
    armed: list[Any] = []
    chip: Any = types.ModuleType("esp32")
    chip.wake_on_gpio = lambda pins, level: armed.append((pins, level))
    chip.WAKEUP_ALL_LOW, chip.WAKEUP_ANY_HIGH = "low", "high"
    monkeypatch.setitem(sys.modules, "esp32", chip)
    meter.chip.ms = 1000
    meter.chip.to(1)
    forget("sense")
    meter.chip.handlers = []
    assert meter.counter.arm(0) == []
    importlib.import_module("node.sense.gpiowake").add("the button")
    assert [level for _, level in armed] == ["low"]


def test_a_contact_that_stays_closed_is_waited_for_to_open(meter: Meter) -> None:
    meter.chip.ms = 1000
    meter.chip.to(1)
    assert meter.sleep() == []
    assert len(meter.opened) == 1
    meter.boot()
    assert meter.counter.read() == [1, 0, 0], "the same closing is no second pulse"


def test_bounces_are_one_pulse_and_the_next_is_one_more(meter: Meter) -> None:
    meter.chip.ms = 1000
    meter.chip.to(1)
    for _ in range(3):
        meter.chip.ms += BOUNCE_MS // 4
        meter.chip.to(0)
        meter.chip.to(1)
    assert meter.counter.read() == [1, 0, 0]
    meter.chip.ms += BOUNCE_MS
    meter.chip.to(0)
    meter.chip.ms += BOUNCE_MS
    meter.chip.to(1)
    assert meter.counter.read() == [2, 0, 0]


def test_the_count_goes_round_at_65536(meter: Meter) -> None:
    meter.state["cnt"] = [7, 0xFFFF, 0]
    meter.chip.ms = 1000
    meter.chip.to(1)
    assert meter.counter.read() == [0, 0, 0]
