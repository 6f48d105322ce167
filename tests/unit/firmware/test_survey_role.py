"""The survey's role over a scripted link: when it walks, how far in a wake, and what it keeps."""

import asyncio
import importlib
import sys
import time
import types
from typing import Any

import pytest
from firmware_modules import fresh
from node.errors import LinkError
from node.schema import SchemaError, check
from node.store.rtcstate import RtcState
from node.wire import cbor

NOW, PERIOD = 1_795_413_600, 21_600
BUTTON, TIMER, READ_NOW = 3, 4, 3
CONFIG = {
    "node": "1gntj14d2p", "role": "survey", "modem": "bc660k", "host": "localhost", "port": 5683,
    "pins": {"button": 6}, "survey_s": PERIOD, "operators": [46000, 46011], "bands": [5, 8],
    "search_s": 90, "awake_s": 300,
}  # fmt: skip


class World:
    """A role, a clock and a modem; each step takes `each_ms` and gives what `found` has for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.ticks, self.each_ms, self.sure = NOW, 0, 40_000, True
        self.steps: list[tuple[int, int]] = []
        self.records: list[tuple[int, dict[int, int]]] = []
        self.last_body = b""
        self.held, self.given_back, self.busy, self.closed = False, 0, False, 0
        self.failure: Exception | None = None
        self.mute = False
        self.memory = b""
        machine: Any = types.ModuleType("machine")
        machine.EXT1_WAKE = BUTTON
        monkeypatch.setitem(sys.modules, "machine", machine)
        for name in ("link.bands", "link.walk", "link.session"):
            part: Any = types.ModuleType(f"node.{name}")
            monkeypatch.setitem(sys.modules, f"node.{name}", part)
            monkeypatch.setattr(
                importlib.import_module("node.link"), name[5:], part, raising=False
            )
            setattr(self, name[5:], part)
        here: Any = self
        here.bands.held = lambda: "3,5,8" if self.held else None
        here.bands.give_back = self._give_back
        here.walk.step = self._step
        here.session.Session = lambda config, state: self
        self.modem = types.SimpleNamespace(busy=False)
        monkeypatch.setattr(time, "ticks_ms", lambda: self.ticks, raising=False)
        monkeypatch.setattr(time, "ticks_add", lambda a, b: a + b, raising=False)
        monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
        clock = importlib.import_module("node.clock")
        monkeypatch.setattr(clock, "now", lambda: self.now)
        monkeypatch.setattr(clock, "is_set", lambda: self.sure)
        self._module = fresh("roles.survey")
        monkeypatch.setattr(self._module, "forget", lambda names: None)
        self.state: Any = RtcState(self._rtc)
        self.state.set("clock_sure", 1)
        self.make()

    def make(self, **more: Any) -> None:
        """A node anew, as after a deep sleep."""
        self.role: Any = self._module.Survey(check({**CONFIG, **more}), self.state, lambda: self)

    def poll(self) -> None:
        self.state.set("urgent", 0)
        asyncio.run(self.role.poll(self.now))

    def append(self, body: bytes, priority: int = 0) -> None:
        flat: Any = cbor.decode(body)
        self.records.append((flat[0], dict(zip(flat[2::2], flat[3::2], strict=True))))
        self.last_body = body

    def _rtc(self, data: bytes | None = None) -> bytes:
        if data is not None:
            self.memory = data
        return self.memory

    async def wake(self) -> None:
        if self.mute:
            raise LinkError("mute")

    async def close(self) -> None:
        self.closed += 1

    async def _give_back(self, modem: object) -> None:
        self.given_back += self.held
        self.held = False

    async def _step(
        self, modem: object, operator: int, band: int, search_ms: int, looks: int
    ) -> list[list[tuple[int, int]]]:
        kept: Any = RtcState(self._rtc)
        kept.load()
        assert kept.get("walk") == len(self.steps) + 1, "not counted before it is taken"
        assert (search_ms, looks) == (90_000, 3)
        self.held = True
        self.steps.append((operator, band))
        self.ticks += self.each_ms
        if self.failure is not None:
            raise self.failure
        return [[(105, operator), (107, band), (101, -90 - look)] for look in range(looks)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_walk_takes_every_operator_and_band_and_is_told_at_once(world: World) -> None:
    for wake in range(4):
        world.poll()
        assert len(world.steps) == wake + 1  # 90 s and what is around: one fits into 150 s
        assert not world.held
        if wake < 3:
            assert world.role.due(world.now) == world.now
            world.make()
    assert world.steps == [(46000, 5), (46000, 8), (46011, 5), (46011, 8)]
    assert world.state.get("urgent") == 2
    assert world.role.due(world.now) == (NOW // PERIOD + 1) * PERIOD
    times = [at for at, _ in world.records]
    assert times == sorted(set(times))  # each look has a time of its own
    assert [one[101] for _, one in world.records] == 4 * [-90, -91, -92]
    world.poll()
    assert len(world.steps) == 4  # once in a period


def test_several_steps_fit_into_a_longer_wake(world: World) -> None:
    world.make(awake_s=600)
    world.poll()
    assert len(world.steps) == 4
    assert world.given_back == 1


def test_the_button_and_read_now_begin_a_walk(world: World) -> None:
    world.make(survey_s=0)
    world.poll()
    assert world.steps == []
    assert world.role.due(NOW) is None
    world.role.sense(NOW, TIMER, 0)
    assert world.role.due(NOW) is None
    world.role.sense(NOW, BUTTON, 0)
    assert world.role.due(NOW) == NOW
    world.state.set("walk", -1)
    assert world.role.command(READ_NOW, [], NOW) == (0, 0)
    assert world.role.command(1, [], NOW) == (7, 0)
    world.poll()
    assert len(world.steps) == 1


def test_without_a_clock_nothing_is_measured_but_what_is_owed_is_given_back(world: World) -> None:
    world.sure, world.held = False, True
    world.poll()
    assert (world.steps, world.given_back) == ([], 1)
    world.poll()
    assert world.closed == 1  # nothing is owed: the modem is left alone


def test_a_step_that_fails_is_not_taken_again_and_the_walk_goes_on(world: World) -> None:
    world.failure = LinkError("COPS")
    world.poll()
    world.failure = None
    assert world.state.get("error") == LinkError.code
    assert world.role.due(NOW) == NOW
    world.poll()
    assert world.steps == [(46000, 5), (46000, 8)]
    assert not world.held


def test_a_modem_that_is_mute_ends_the_walk(world: World) -> None:
    world.state.set("walk", 2)
    world.mute = True
    world.poll()
    assert world.steps == []
    assert world.role.due(NOW) > NOW
    assert world.closed == 1


def test_one_that_writes_its_own_firmware_is_left_alone(world: World) -> None:
    world.modem.busy = True
    world.poll()
    assert (world.steps, world.closed) == ([], 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"operators": [46]}, {"operators": ["46011"]}, {"operators": [True]}, {"bands": [0]},
        {"bands": [89]}, {"search_s": 100}, {"survey_s": -1}, {"looks": 0},
    ],
)  # fmt: skip
def test_a_configuration_that_does_not_go_together_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SchemaError) as e:
        check({**CONFIG, **wrong})
    assert e.value.key in (*wrong, "awake_s")
