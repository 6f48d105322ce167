"""What a modem family is made of: a table of its constants, and a class with its commands."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fleet.registry.luhn import luhn_digit
from hil.virtual.modem.fota import Step
from hil.virtual.modem.grammar import STANDARD, Command, GrammarError, Op, Style
from hil.virtual.modem.hosts import Unresolved
from hil.virtual.modem.radio import Cell

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin


class CommandError(Exception):
    """The command fails; `code` is the number for +CME ERROR, None for a bare ERROR."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(f"error {code}")
        self.code = code


@dataclass(frozen=True)
class Prompt:
    """A handler's wish for `length` bytes of data, given to `take`."""

    length: int
    take: Callable[[bytes], None]


@dataclass(frozen=True)
class Reply:
    """Lines, the final result, and what happens behind it.

    An empty `final` is for a result that comes later (`Family.finish`), or that is never told.
    """

    lines: tuple[str | bytes, ...] = ()
    then: Callable[[], None] | None = None
    final: str = "OK"


@dataclass(frozen=True)
class Table:
    """The constants of a family."""

    name: str
    model: str
    firmware: str
    technology: int  # <AcT> of +CEREG: 7 E-UTRAN, 9 NB-S1
    boot_s: tuple[float, float]  # power or reset until it takes commands
    boot_noise: tuple[bytes, ...]
    context: int  # PDP context of sockets
    socket_ids: int
    send_most: int  # bytes of one send
    recv_most: int  # bytes of one received piece
    sleep_after_s: float  # idle time before sleep, where sleep is allowed
    wake_s: tuple[float, float]  # from the first byte until it takes commands
    chatter: tuple[str, ...]  # URCs that may come at any time and mean nothing to the driver
    vendor: str = "Quectel"
    style: Style = STANDARD
    line_most: int = 512  # bytes of a command line
    apn: str = ""  # of a factory-new module
    registration_modes: tuple[int, ...] = (0, 1, 2, 3, 4, 5)  # <n> of +CEREG


Handler = Callable[[Any, Command], Reply | Prompt]


def command(name: str, *ops: Op) -> Callable[[Handler], Handler]:
    """Marks a method as the handler of `AT<name>` in these forms."""

    def mark(handler: Handler) -> Handler:
        handlers: list[tuple[str, Op]] = getattr(handler, "handles", [])
        handler.handles = handlers + [(name, op) for op in ops]  # type: ignore[attr-defined]
        return handler

    return mark


class Family:
    """What the engine calls and what subclasses use; `full_sends` makes that many sends fail."""

    table: ClassVar[Table]
    _handlers: ClassVar[dict[tuple[str, Op], Handler]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._handlers = dict(cls._collect())

    @classmethod
    def _collect(cls) -> Iterator[tuple[tuple[str, Op], Handler]]:
        for base in reversed(cls.__mro__):
            for value in vars(base).values():
                for key in getattr(value, "handles", ()):
                    yield key, value

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        self.modem = modem
        self.rng = rng
        self.cme = 0
        self.full_sends = 0
        self._camped: Cell | None = None
        imei = "867997" + "".join(rng.choices("0123456789", k=9))[:8]
        self.imei = imei + luhn_digit(imei)
        self.address = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(2, 255)}"

    @property
    def imsi(self) -> str:
        """Of the card in the modem."""
        return self.modem.sim.imsi

    @property
    def iccid(self) -> str:
        """Of the card in the modem."""
        return self.modem.sim.iccid

    @property
    def area(self) -> str:
        """Tracking area code of the cell, four hexadecimal digits."""
        cell = self.camped()
        return f"{cell.tac:04X}" if cell else "0000"

    @property
    def cell(self) -> str:
        """Identity of the cell, eight hexadecimal digits."""
        cell = self.camped()
        return f"{cell.ci:08X}" if cell else "00000000"

    def camped(self) -> Cell | None:
        """The cell, or the one before while the modem changes to another."""
        self._camped = self.modem.network.cell or self._camped
        return self._camped

    # -- what the engine calls ------------------------------------------------------------------

    @classmethod
    def commands(cls) -> Iterable[tuple[str, Op]]:
        """What it answers, by name and form."""
        return cls._handlers.keys()

    def handle(self, command: Command) -> Reply | Prompt:
        """The answer; CommandError or GrammarError where there is none."""
        handler = self._handlers.get((command.name, command.op))
        if handler is None:
            raise GrammarError(f"no command {command.name}{command.op.value}")
        return handler(self, command)

    def greeting(self) -> list[bytes]:
        """What it says after a start, with what it finds of the card."""
        state = b"+CPIN: " + self.modem.sim.state.encode()
        return [noise.replace(b"+CPIN: READY", state) for noise in self.table.boot_noise]

    def failure(self, code: int | None) -> str:
        """The final result of a command that failed."""
        return f"+CME ERROR: {code}" if self.cme and code is not None else "ERROR"

    @property
    def sleep_after_s(self) -> float:
        """Idle time before sleep, where sleep is allowed."""
        return self.table.sleep_after_s

    def may_sleep(self) -> bool:
        """Whether the modem may fall asleep when nothing happens."""
        return False

    def wakes_by_bytes(self) -> bool:
        """Whether bytes from the host end its sleep; else only a pin does."""
        return True

    def on_pin(self, name: str, level: int) -> None:
        """A pin that only this family has."""

    def on_sleep(self) -> None:
        """The modem falls asleep now."""

    def on_psm(self, entered: bool) -> None:
        """The modem enters power saving mode, or leaves it."""

    def on_connection(self) -> None:
        """An RRC connection has begun, or its end has moved (`modem.air.idle_at_us`)."""

    def on_reset(self) -> None:
        """Volatile settings return to their defaults: the modem restarts or lost power."""
        self.cme = 0
        self.full_sends = 0

    def on_registration(self) -> None:
        """The network's answer changed."""

    def on_fota(self, step: Step, value: int) -> None:
        """Its own firmware: `step`, with the number that goes with it."""

    def on_deactivated(self) -> None:
        """The network took the data connection away; open sockets are closed behind this."""

    def on_data(self, number: int, data: bytes) -> None:
        """Bytes came from a TCP peer."""
        raise NotImplementedError

    def on_datagram(self, number: int, host: str, port: int, data: bytes) -> None:
        """One UDP datagram came."""
        raise NotImplementedError

    def on_closed(self, number: int) -> None:
        """A peer closed, or its connection broke."""
        raise NotImplementedError

    # -- what the families use ------------------------------------------------------------------

    def line(self, name: str, *values: str | int) -> str:
        """An answer in the family's style."""
        return self.table.style.line(name, *values)

    def urc(self, name: str, *values: str | int) -> None:
        """A line that nobody asked for, in the family's style."""
        self.modem.urc(self.line(name, *values))

    def finish(self, *lines: str, error: int | None = None, failed: bool = False) -> None:
        """The end of a command whose Reply had no `final`."""
        for line in lines:
            self.modem.answer(line)
        self.modem.answer(self.failure(error) if failed else "OK")

    def send(self, number: int, data: bytes, release: int = 0) -> bool:
        """Whether the module's stack took `data` for socket `number`."""
        if self._full():
            return False
        return self.modem.bridge.send(number, data, release)

    def send_to(self, number: int, host: str, port: int, data: bytes, release: int = 0) -> bool:
        """Whether the module's stack took a datagram for a socket without a peer."""
        if self._full():
            return False
        try:
            return self.modem.bridge.send_to(number, host, port, data, release)
        except Unresolved:
            return False

    def _full(self) -> bool:
        full = self.full_sends > 0
        self.full_sends -= full
        return full
