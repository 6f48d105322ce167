"""A drainage point on a virtual board without a fleet: what its journal holds is looked at."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fleet.flashing.hardware import load_board
from fleet.wire import cbor
from hil.virtual.node import Credentials, VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND, Scene
from hil.virtual.sensors.water import Loop, SwitchedSensors
from hil.virtual.stimulus import Change
from hil.virtual.twin import UartTwin

START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC
BOARD = "esp32s3-manhole"
PINS = load_board(BOARD).pins
MINUTE = 60 * SECOND
QUIET = {"sample_s": 900, "report_s": 604_800, "report_records": 1000, "full_scale": 5000}


class Record(NamedTuple):
    """`at` in us."""

    at: int
    quality: int
    values: dict[int, int]


class Point:
    """The node and its sensors; `level` may be changed while it runs."""

    def __init__(self, node: VirtualNode, sensors: SwitchedSensors) -> None:
        self.node = node
        self.board = node.board
        self.sensors = sensors

    def records(self, *quantities: int) -> list[Record]:
        """Those with any of these quantities, or all."""
        found = []
        for _, body in self.node.journal().records:
            at, quality, *flat = cbor.decode(body)  # type: ignore[misc]
            values = dict(zip(flat[::2], flat[1::2], strict=True))
            if not quantities or set(quantities) & set(values):
                found.append(Record(at * SECOND, quality, values))
        return found

    def of(self, quantity: int) -> list[int]:
        """Its values, in order."""
        return [record.values[quantity] for record in self.records(quantity)]

    async def until(self, at_us: int) -> None:
        """Run until this virtual time, and until it sleeps."""
        await self.board.run_until(
            lambda: self.board.now_us >= at_us and self.board.state == "asleep", 60
        )

    async def soon(self, done: Callable[[], bool]) -> None:
        """Run by the minute until `done`, ten at most."""
        for _ in range(10):
            await self.until(self.board.now_us + MINUTE)
            if done():
                return
        raise AssertionError("not within ten minutes")


def constant(value: int) -> Callable[[int], int]:
    """A sensor that says this."""
    return lambda at: value


@asynccontextmanager
async def point(
    folder: Path,
    level: Callable[[int], int] = constant(400),  # noqa: B008
    *,
    schedule: Iterable[tuple[int, Change]] = (),
    twin: UartTwin | None = None,
    sources: Path | None = None,
    **config: Any,
) -> AsyncIterator[Point]:
    """A manhole's board with these settings, from START on."""
    sensors = SwitchedSensors(
        {
            "level": Loop(level, 5000), "velocity": Loop(constant(800), 5000),
            "h2s": Loop(constant(0), 1000), "ch4": Loop(constant(0), 1000),
        }
    )  # fmt: skip
    scene = Scene("drainage", BOARD, {**QUIET, **config}, START)
    scene._schedule = iter(schedule)
    if twin is not None:
        scene.twins = {2: twin}
    scene.attach = sensors.attach
    node = VirtualNode(folder / "point", mac_of("point"), scene, sources=sources)
    node.provision(Credentials(b"k", b"c", b"r", b"o"), "localhost", 1)
    try:
        node.board.power_on()
        yield Point(node, sensors)
        assert not node.board.life.crashes, node.board.life.last_crash
        assert "Traceback" not in node.board.console_tail, node.board.console_tail
    finally:
        await node.board.stop()


__all__ = ["BOARD", "HOUR", "MINUTE", "PINS", "SECOND", "START", "Point", "constant", "point"]
