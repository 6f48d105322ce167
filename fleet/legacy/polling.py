"""DTUs in transparent mode: who they are, heartbeats, the meters behind them asked by turns, and
between two of these a text for the box itself (telling.py).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.legacy import asking, meters, telling
from fleet.legacy.asking import Ask, Line
from fleet.legacy.commits import Item
from fleet.legacy.intake import Arrival, Source, Stored, Value
from fleet.legacy.protocols import dtu
from fleet.legacy.protocols.frame import Garbage
from fleet.legacy.sessions import Session
from fleet.registry.operations import now_us

MOST_HELD = 1_024  # bytes of a line that wait to become an answer
AGAIN_S = 300.0  # after which an unknown box is looked for again, at its heartbeat
SILENCE_S = 2.0  # behind which a registration without an end is whole
AT_ONCE = 500  # boxes that are asked at one time
# By the kind of the asset: what its meter is asked, if nothing else is said.
PROFILES = {
    "gas-meter": "cjt188-gas", "sub-gas-meter": "cjt188-gas", "water-meter": "cjt188-water",
    "heat-meter": "cjt188-heat", "electricity-meter": "dlt645", "power-meter": "sdm120",
    "environment-station": "air", "environment": "air",
}  # fmt: skip

log = structlog.get_logger("legacy")


class Meter(NamedTuple):
    """A meter on the line of a box; `behind`: its address where it is a sub-device, empty where
    the box serves it alone.
    """

    address: str
    behind: str
    line: Line


class Model:
    """What boxes on one port have in common. `air_s`: what an answer takes on the network beside
    what the meter takes; `poll_s`: from one round to the next.
    """

    def __init__(
        self, boxes: dtu.Pattern, poll_s: float = 3600.0, air_s: float = 8.0,
        kinds: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.boxes, self.poll_s, self.air_s = boxes, poll_s, air_s
        self.kinds = {**PROFILES, **(kinds or {})}


class Polls:
    """What the boxes of a process share. Make it in the loop."""

    def __init__(self, database: Database, counts: Counter[str]) -> None:
        self.database, self.counts = database, counts
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.orders = telling.Orders(database, counts)

    def plan(self, source: Source, kinds: Mapping[str, str]) -> list[Meter]:
        """The meters of a box, by the registry as it is now."""
        with self.database.read() as session:
            found = meters.of(session, source)
        made = []
        for kind, protocol, address, behind in found:
            try:
                line = asking.line_of(kinds[kind])
                if protocol in meters.PROTOCOLS and meters.PROTOCOLS[line.protocol] != protocol:
                    raise LookupError
                list(asking.questions(line, address, 0))
            except (LookupError, ValueError, Refusal):
                self.counts["meters without a profile"] += 1
                continue
            made.append(Meter(address, behind, line))
        return made


class Dtu:
    """One connection of a box."""

    silence_s = SILENCE_S

    def __init__(self, polls: Polls, model: Model, channel: Session) -> None:
        self._polls, self._model, self._channel = polls, model, channel
        self._line = dtu.Line(model.boxes)
        self._task: asyncio.Task[None] | None = None
        self._held = bytearray()
        self._due: tuple[Ask, asyncio.Future[bytes]] | None = None
        self._telling: tuple[Callable[[bytes], bool], asyncio.Future[str]] | None = None
        self._terminal_id = ""
        self.line = asyncio.Lock()
        self._serial = 0
        self._looked = 0.0

    def feed(self, data: bytes) -> int:
        """Take what came; how much that was no answer."""
        is_due = self._due is not None or self._telling is not None
        return self._arrived(self._line.feed(data, is_due))

    @property
    def is_holding(self) -> bool:
        """Whether what came may be the beginning of a registration."""
        return self._line.is_holding

    def flush(self) -> int:
        """A registration that has no end of its own ends with a silence."""
        return self._arrived(self._line.flush())

    def _arrived(self, arrivals: list[dtu.Arrival]) -> int:
        count = 0
        for one in arrivals:
            if isinstance(one, bytes):
                self._answered(one)
                continue
            count += 1
            if isinstance(one, Garbage):
                self._channel.bad("garbage", len(one.data))
                continue
            self._channel.proven()
            if isinstance(one, dtu.Registered):
                self._registered(one)
            elif self._is_due():
                self._registered(self._line.registered)
        return count

    def _is_due(self) -> bool:
        """Whether to look again for a box that nobody knew: the inventory may know it by now."""
        return self._task is None and time.monotonic() - self._looked >= AGAIN_S

    def close(self) -> None:
        """The connection is gone."""
        self._polls.orders.left(self._terminal_id, self)
        if self._task is not None:
            self._task.cancel()
        self._told(telling.CLOSED)

    async def tell(
        self, data: bytes, is_over: Callable[[bytes], bool], seconds: float
    ) -> tuple[str, bytes]:
        """Send a text to the box itself, `line` held; (how it ended, what came)."""
        self._held.clear()
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._telling = is_over, future
        try:
            if not self._channel.is_open:
                return telling.CLOSED, b""
            self._channel.send(data)
            how = await asyncio.wait_for(future, max(0.0, seconds))
        except TimeoutError:
            how = telling.SILENT
        finally:
            self._telling = None
            came = bytes(self._held)
            self._held.clear()
        return how, came

    def _heard(self, data: bytes, is_over: Callable[[bytes], bool]) -> None:
        rest = self._line.behind_heartbeats(data)
        if rest != data:
            self._channel.proven()
        self._held += rest
        del self._held[MOST_HELD:]
        if is_over(bytes(self._held)):
            self._channel.proven()
            self._told(telling.OVER)

    def _told(self, how: str) -> None:
        if self._telling is not None and not self._telling[1].done():
            self._telling[1].set_result(how)

    def _registered(self, said: dtu.Registered | None) -> None:
        if said is None:
            return
        source = Source(said.kind, said.identity)
        self._looked = time.monotonic()
        arrival = Arrival(source, (), now_us(), said.raw, self._channel.host)

        def done(stored: Stored) -> None:
            known = stored.terminal_id and not stored.why
            if known and self._channel.is_open:
                self._terminal_id = stored.terminal_id
                self._polls.orders.came(stored.terminal_id, self)
            if known and self._task is None and self._channel.is_open:
                self._task = asyncio.get_running_loop().create_task(self._run(source))

        self._channel.commit(source, Item(arrival, done))

    def _answered(self, data: bytes) -> None:
        if self._telling is not None:
            self._heard(data, self._telling[0])
            return
        self._held += data
        del self._held[:-MOST_HELD]
        if self._due is None:
            return
        ask, future = self._due
        frame = asking.find_answer(ask, self._held)
        if frame is not None and not future.done():
            future.set_result(frame)

    async def _run(self, source: Source) -> None:
        while True:
            begin = time.monotonic()
            try:
                async with self._polls.slots:
                    for meter in await asyncio.to_thread(
                        self._polls.plan, source, self._model.kinds
                    ):
                        async with self.line:
                            await self._poll(source, meter)
            except Exception as e:  # a database that is away: the next round asks again
                self._polls.counts["rounds failed"] += 1
                log.error("a round of polls failed", source=source, reason=repr(e)[:300])
            await asyncio.sleep(max(1.0, self._model.poll_s - (time.monotonic() - begin)))

    async def _poll(self, source: Source, meter: Meter) -> None:
        values: list[Value] = []
        frames = b""
        self._serial = self._serial + 1 & 255
        at_us = now_us() // 1_000_000 * 1_000_000
        for ask in asking.questions(meter.line, meter.address, self._serial):
            told = await self._ask(ask, meter.line)
            if told is None:
                break  # it answers nothing: the others need not wait for it again
            frame, read = told
            frames += frame
            values += [Value(quantity, at_us, value) for quantity, value in read]
        self._polls.counts["meters asked"] += 1
        if not values:
            self._polls.counts["meters silent"] += 1
            return
        where = source._replace(meter=meter.behind)
        arrival = Arrival(where, values, now_us(), frames, self._channel.host)
        self._channel.commit(where, Item(arrival, lambda _stored: None))

    async def _ask(self, ask: Ask, line: Line) -> tuple[bytes, list[tuple[int, int]]] | None:
        """The answer; one without values where the meter says that it has none; None: silence."""
        loop = asyncio.get_running_loop()
        for _ in range(line.tries):
            self._held.clear()
            future: asyncio.Future[bytes] = loop.create_future()
            self._due = ask, future
            self._channel.send(ask.request)
            until = loop.time() + line.wait_s + self._model.air_s
            try:
                while True:
                    frame = await asyncio.wait_for(future, max(0.0, until - loop.time()))
                    try:
                        values = ask.read(frame)
                    except ValueError as e:
                        if hasattr(e, "code") or hasattr(e, "status"):  # it refuses: it is there
                            self._channel.proven()
                            return frame, []
                        # Another's answer, or a late one: what stands behind it may be the right.
                        del self._held[0]
                        future = loop.create_future()
                        self._due = ask, future
                        self._answered(b"")
                        continue
                    self._channel.proven()
                    return frame, values
            except TimeoutError:
                continue
            finally:
                self._due = None
                self._held.clear()
        return None
