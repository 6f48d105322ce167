"""The ladder of a mute modem: which rung comes when, what is counted, and where the next wake goes
on; in jumping time.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import Bench, Echo, jumping
from node.errors import AtError, ModemMute
from node.link import ladder
from node.link.modems import open_modem
from scripted_modem import Pin, ScriptedModem

from hil.virtual.modem import ModemTwin, State

ALL = ("reset", "pwrkey", "cut")


class Memory(dict[str, Any]):
    """RtcState's get and set."""

    set = dict.__setitem__


class Hung(ScriptedModem):
    """Mute until `cure` comes: a pin that was pulsed, or bytes; None: for ever."""

    def __init__(self, cure: str | bytes | None = None, presses: int = 1) -> None:
        super().__init__()
        self.mute = True
        self.cure = cure
        self.presses = presses
        self.pulses: list[str] = []

    def wired(self, names: tuple[str, ...]) -> dict[str, Pin]:
        return {name: Pin(name, self.changed) for name in names}

    def changed(self, name: str, level: int) -> None:
        if level:
            return
        self.pulses.append(name)
        if name == self.cure and self.pulses.count(name) >= self.presses:
            self.mute = False

    def write(self, data: bytes) -> None:
        if isinstance(self.cure, bytes) and self.cure in bytes(data):
            self.mute = False
        super().write(data)


def wake(
    modem: Hung,
    pins: tuple[str, ...],
    state: Memory | None = None,
    family: str = "bc660k",
    cap_s: float = 1000,
) -> tuple[bool, float]:
    """Whether it woke, and the seconds; TimeoutError passes for "not in time"."""

    async def main() -> tuple[bool, float]:
        driver: Any = open_modem(family, modem, modem.wired(pins))
        loop = asyncio.get_running_loop()
        awake = False
        try:
            await asyncio.wait_for(driver.wake(state), cap_s)
            awake = True
        except (ModemMute, TimeoutError):
            pass
        finally:
            driver.at.stop()
        return awake, loop.time()

    modem.arrived = asyncio.Event()  # of the loop to come
    return jumping(main)


def test_a_modem_that_answers_costs_no_rung() -> None:
    modem, state = Hung(), Memory()
    modem.mute = False
    awake, took = wake(modem, ALL, state)
    assert awake
    assert took < 1
    assert "rungs" not in state


@pytest.mark.parametrize(
    ("cure", "rungs", "pulses"),
    [
        (b"+++", [1, 1, 0, 0, 0], []),
        (b"\x1b", [1, 1, 0, 0, 0], []),
        ("reset", [1, 1, 1, 0, 0], ["reset"]),
        ("pwrkey", [1, 1, 1, 1, 0], ["reset", "pwrkey"]),
        ("cut", [1, 1, 1, 1, 1], ["reset", "pwrkey", "pwrkey", "cut", "pwrkey"]),
    ],
)
def test_it_climbs_from_the_gentlest_and_counts_each_rung(
    cure: str | bytes, rungs: list[int], pulses: list[str]
) -> None:
    modem, state = Hung(cure), Memory()
    awake, _ = wake(modem, ALL, state)
    assert awake
    assert state["rungs"] == rungs
    assert modem.pulses == pulses
    assert state["rung"] == 0  # it has come down


def test_a_key_that_switched_a_running_modem_off_is_pressed_again() -> None:
    modem = Hung("pwrkey", presses=2)
    assert wake(modem, ("pwrkey",))[0]
    assert modem.pulses == ["pwrkey", "pwrkey"]


def test_rungs_without_a_pin_are_left_out() -> None:
    modem, state = Hung(), Memory()
    assert not wake(modem, ("cut",), state)[0]
    assert modem.pulses == ["cut"]
    assert state["rungs"] == [1, 1, 0, 0, 1]


@pytest.mark.parametrize("family", ["bc660k", "ec200"])
def test_the_whole_ladder_takes_a_bounded_time(family: str) -> None:
    awake, took = wake(Hung(), ALL, Memory(), family)
    assert not awake
    assert took < {"bc660k": 70, "ec200": 115}[family]


def test_the_next_wake_goes_on_a_rung_higher_and_stays_at_the_top() -> None:
    state = Memory()
    seen: list[tuple[int, list[int]]] = []
    for _ in range(5):
        modem = Hung()
        # The wake's cap ends it in the middle of the rung behind the first that it tries.
        assert not wake(modem, ALL, state, cap_s=17 if not seen else 5)[0]
        seen.append((state["rung"], list(state["rungs"])))
    assert [rung for rung, _ in seen] == [2, 3, 4, 4, 4]
    assert seen[-1][1] == [5, 1, 1, 1, 3]


def test_after_a_mute_wake_at_is_tried_only_briefly_before_the_ladder() -> None:
    state = Memory(rung=ladder.RESET, rungs=[1, 1, 1, 0, 0])
    modem = Hung("cut")
    awake, took = wake(modem, ("reset", "cut"), state)
    assert awake
    assert took < 10
    assert modem.pulses == ["cut"]
    assert state == {"rung": 0, "rungs": [2, 1, 1, 0, 1]}


def test_a_modem_that_came_back_by_itself_takes_it_down_without_a_rung() -> None:
    state = Memory(rung=ladder.CUT, rungs=[3, 1, 1, 0, 2])
    modem = Hung()
    modem.mute = False
    assert wake(modem, ALL, state)[0]
    assert state == {"rung": 0, "rungs": [3, 1, 1, 0, 2]}


def test_a_counter_stops_at_its_most() -> None:
    state = Memory(rungs=[0xFFFF, 0xFFFE, 0, 0, 0])
    wake(Hung(b"+++"), (), state)
    assert state["rungs"] == [0xFFFF, 0xFFFF, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(ALL), unique=True),
    st.lists(st.floats(0.5, 60), min_size=1, max_size=5),
    st.sampled_from([*ALL, b"+++", None]),
)
def test_whenever_the_cap_falls_no_pin_stays_active_and_the_rung_never_goes_down(
    names: list[str], caps: list[float], cure: str | bytes | None
) -> None:
    state = Memory()
    last = 0
    for cap in caps:
        modem = Hung(cure)
        pins: dict[str, Pin] = {}

        def wired(names: tuple[str, ...], pins: Any = pins, modem: Any = modem) -> dict[str, Pin]:
            pins.update({name: Pin(name, modem.changed) for name in names})
            return dict(pins)

        modem.wired = wired  # type: ignore[method-assign]
        awake, took = wake(modem, tuple(names), state, cap_s=cap)
        assert took <= cap + 0.1
        assert all(pin.levels.count(1) == pin.levels.count(0) for pin in pins.values())
        rung = state.get("rung", 0)
        assert rung == 0 if awake else rung >= last
        assert rung == 0 or state["rungs"][rung] > 0
        last = rung


def test_power_off_needs_the_familys_command_and_leaves_the_uart_free() -> None:
    async def main() -> None:
        modem = ScriptedModem()
        driver: Any = open_modem("ec200", modem)
        await driver.wake()
        await ladder.power_off(driver)
        assert modem.log[-1] == "AT+QPOWD=1"
        silent: Any = open_modem("bc95", ScriptedModem())
        silent.OFF = ""
        with pytest.raises(AtError):
            await ladder.power_off(silent)

    jumping(main)


# Against the twins.


class Wire:
    """The board's output on the twin's input, and the switch in its supply."""

    def __init__(self, twin: ModemTwin, name: str) -> None:
        self.twin, self.name = twin, name

    def value(self, level: int) -> None:
        if self.name != "cut":
            self.twin.pin(self.name, level)
        elif level:
            self.twin.power_off()
        else:
            self.twin.power_on()


def play(family: str, pins: tuple[str, ...], hang: Callable[[Any, Bench], Any]) -> Memory:
    state = Memory()

    async def main() -> None:
        bench = Bench(ModemTwin(family, seed=4, attach_delay_s=(1, 2)))
        async with Echo() as echo:
            bench.twin.power_on()
            first: Any = open_modem(family, bench)
            await first.wake()
            await first.attach("", 180_000)
            socket = await first.connect("localhost", echo.port, 60_000)
            await hang(socket, bench)
            first.at.stop()  # the host was reset: all that it knew is gone
            modem: Any = open_modem(family, bench, {name: Wire(bench.twin, name) for name in pins})
            await modem.wake(state)
            await modem.attach("", 180_000)
            again = await modem.connect("localhost", echo.port, 60_000)
            await again.send(b"alive")
            assert await asyncio.wait_for(again.recv(5), 60) == b"alive"
            await modem.sleep()
            bench.twin.power_off()

    jumping(main)
    return state


async def leave_a_prompt_open(socket: Any, bench: Bench) -> None:
    bench.write(b"AT+QISEND=0,1000\r")
    await asyncio.sleep(1)
    assert bench.twin.state is State.DATA


@pytest.mark.parametrize("family", ["bc660k", "ec200"])
def test_a_prompt_that_a_reset_host_left_open_is_escaped_from(family: str) -> None:
    assert play(family, (), leave_a_prompt_open) == {"rung": 0, "rungs": [1, 1, 0, 0, 0]}


def test_without_the_escape_an_open_prompt_makes_the_modem_mute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_escape(modem: Any) -> None:
        await modem.at.sync(3)

    monkeypatch.setattr(ladder, "escape", no_escape)
    with pytest.raises(ModemMute):
        play("bc660k", (), leave_a_prompt_open)


@pytest.mark.parametrize(
    ("family", "pins", "rungs"),
    [
        ("bc660k", ("reset",), [1, 1, 1, 0, 0]),
        ("ec200", ("reset",), [1, 1, 1, 0, 0]),
        ("ec200", ("pwrkey",), [1, 1, 0, 1, 0]),
        ("bc660k", ("cut",), [1, 1, 0, 0, 1]),
        ("ec200", ("pwrkey", "cut"), [1, 1, 0, 1, 0]),
    ],
)
def test_a_modem_that_is_off_is_brought_back(
    family: str, pins: tuple[str, ...], rungs: list[int]
) -> None:
    async def hang(socket: Any, bench: Bench) -> None:
        bench.twin.shut_down()

    assert play(family, pins, hang) == {"rung": 0, "rungs": rungs}
