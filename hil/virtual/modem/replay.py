"""A modem that says again what a real one said, and tells where a driver departs from the record.

`StrictReplay` holds a driver to the record's order. For a driver whose order is another there is
hil/virtual/modem/replay_lenient.py.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hil.virtual.modem.transcript import Step, spelled
from hil.virtual.modem.wire import Wire
from hil.virtual.twin import UartPort

LINE_MOST = 2048  # bytes of a command line: Neul payloads are hex
DEPARTURES_MOST = 1000  # kept
CR, SPACE = 0x0D, 0x20


@dataclass(frozen=True)
class Departure:
    """The driver wrote `got` where the record has `expected` on line `line` of its file.

    `expected` is None where the record has no such request (any more); `line` is then the newest
    one that was answered, 0 for none.
    """

    line: int
    expected: bytes | None
    got: bytes

    def __str__(self) -> str:
        got = _shown(self.got)
        if self.expected is None:
            return f"{self.line}: got {got}, which is not recorded behind this line"
        return f"{self.line}: expected {_shown(self.expected)}, got {got}"


class Replay(ABC):
    """What both have in common. A UartTwin.

    *Time.* A reply begins `delay` after its request has wholly arrived at `baud`, and not before
    the reply to an earlier request. What came unasked follows the line above it: `delay` after
    that one's last byte has left, each time that one is answered. At the file's top it follows
    the first power-on. It holds nobody up: a request that comes before it is answered first.
    *Commands* end with CR; control characters and empty lines are ignored, names compare in upper
    case, arguments exactly. *Data* count from the moment at which the reply before them, their
    prompt, has been sent; what is written earlier is a departure, and lost.
    Pins and sleep change nothing: what they did to the modem is in the record or is not.

    `departures` has the first 1000, `departed` counts all, `commands` counts command lines;
    `on_departure`, where it is set, is called with each.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        seed: int = 0,
        baud: int = 115200,
    ) -> None:
        self.steps = tuple(steps)
        self.departures: list[Departure] = []
        self.departed = 0
        self.commands = 0
        self._rng = random.Random(f"replay {seed}")  # cuts what is sent into chunks
        self._baud = baud
        self.on_departure: Callable[[Departure], None] | None = None
        self._reached: set[int] = set()  # indices of steps
        self._requests: list[int | None] = [None]  # for each index: itself, or the next request
        for index in reversed(range(len(self.steps))):
            unasked = self.steps[index].request is None
            self._requests.insert(0, self._requests[0] if unasked else index)
        self._newest = 0  # line
        self._received_us = 0
        self._answered_us = 0
        self._begun = False
        self._line = bytearray()
        self._data: bytearray | None = None  # not None: data are awaited

    def never_reached(self) -> list[Step]:
        """The requests of the record that the driver has not made, in order."""
        return [
            step
            for index, step in enumerate(self.steps)
            if step.request is not None and index not in self._reached
        ]

    # -- UartTwin -------------------------------------------------------------------------------

    def attach(self, port: UartPort) -> None:
        """As UartTwin.attach."""
        self._port = port
        self._wire = Wire(port, self._rng, self._baud)

    def power_on(self) -> None:
        """The first time, the record begins."""
        if not self._begun:
            self._begun = True
            self._then(-1)

    def power_off(self) -> None:
        """What has not been said yet is lost; the record goes on where it was."""
        self._wire.reset()
        self._line.clear()
        self._data = None
        self._received_us = self._answered_us = 0

    def deep_sleep_of_host(self) -> None:  # noqa: B027 - there is nothing to override
        """Changes nothing."""

    def pin(self, name: str, level: int) -> None:  # noqa: B027
        """Changes nothing."""

    def on_bytes(self, data: bytes) -> None:
        """As UartTwin.on_bytes; total: any bytes are answered, ignored or a departure."""
        self._received_us = max(self._port.now(), self._received_us)
        self._received_us += self._wire.duration_us(len(data))
        for byte in self._wire.hear(data):
            if self._data is not None:
                self._data.append(byte)
                self._on_data(self._data)
            elif byte == CR:
                line = bytes(self._line)
                self._line.clear()
                if line.strip():
                    self.commands += 1
                    self._on_command(spelled(line), line)
            elif byte >= SPACE and len(self._line) < LINE_MOST:
                self._line.append(byte)

    # -- what a way of replaying decides --------------------------------------------------------

    @abstractmethod
    def _on_command(self, command: bytes, raw: bytes) -> None:
        """A line; `command` is empty where there is no AT in it."""

    @abstractmethod
    def _on_data(self, data: bytearray) -> None:
        """One more byte of data came; `_data` is set to None where it was the last."""

    @abstractmethod
    def _awaits_data(self, index: int) -> bool:
        """Whether data are due once the reply of step `index` (-1: the start) has been sent."""

    # -- answering ------------------------------------------------------------------------------

    def _following(self, index: int) -> int | None:
        """The next step with a request."""
        return self._requests[index + 1]

    def _answer(self, index: int) -> None:
        step = self.steps[index]
        self._reached.add(index)
        self._newest = step.line
        self._at(self._received_us + step.delay_us, lambda: self._say(index))

    def _at(self, due_us: int, say: Callable[[], None]) -> None:
        self._answered_us = max(due_us, self._answered_us)
        self._port.call_at(self._answered_us, say)

    def _say(self, index: int) -> None:
        self._wire.send(self.steps[index].reply)
        self._then(index)

    def _then(self, index: int) -> None:
        if (index < 0 or self.steps[index].request is not None) and self._awaits_data(index):
            if self._line.strip():
                self._depart(self._following(index), bytes(self._line))
            self._line.clear()
            self._data = bytearray()
        if index + 1 < len(self.steps) and self.steps[index + 1].request is None:
            done_us = self._port.now() + self._wire.backlog_us()
            due_us = done_us + self.steps[index + 1].delay_us
            self._port.call_at(due_us, lambda: self._say(index + 1))

    def _depart(self, index: int | None, got: bytes) -> None:
        if index is None:
            departure = Departure(self._newest, None, got)
        else:
            departure = Departure(self.steps[index].line, self.steps[index].request, got)
        self.departed += 1
        if len(self.departures) < DEPARTURES_MOST:
            self.departures.append(departure)
        if self.on_departure is not None:
            self.on_departure(departure)


class StrictReplay(Replay):
    """Requests must come as recorded, one by one. The first departure ends it: mute from then on.

    Data are compared byte by byte: a wrong one shows when it comes, not when all are there.
    """

    def __init__(self, steps: Sequence[Step], **options: Any) -> None:
        super().__init__(steps, **options)
        self._next = self._following(-1)

    def on_bytes(self, data: bytes) -> None:
        """As UartTwin.on_bytes; after a departure, nothing."""
        if not self.departed:
            super().on_bytes(data)

    def _on_command(self, command: bytes, raw: bytes) -> None:
        if self.departed:
            return
        due = self._next
        if due is None or self.steps[due].is_data or self.steps[due].request != command:
            self._depart(due, raw)
        else:
            self._advance(due)

    def _on_data(self, data: bytearray) -> None:
        due = self._next
        expected = None if due is None else self.steps[due].request
        if self.departed or due is None or expected is None or not expected.startswith(data):
            if not self.departed:
                self._depart(due, bytes(data))
            self._data = None
        elif len(data) == len(expected):
            self._data = None
            self._advance(due)

    def _advance(self, due: int) -> None:
        self._next = self._following(due)
        self._answer(due)

    def _say(self, index: int) -> None:
        if not self.departed:
            super()._say(index)

    def _awaits_data(self, index: int) -> bool:
        due = self._following(index)
        return due is not None and due == self._next and self.steps[due].is_data


def _shown(raw: bytes) -> str:
    shown = ascii(raw[:120].decode("latin-1"))
    return shown if len(raw) <= 120 else f"{shown}... ({len(raw)} bytes)"
