"""What a modem family is made of: a table of its constants, and a class with its commands."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hil.virtual.modem.grammar import Command, GrammarError, Op

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
    """Lines, `OK`, and what happens behind it."""

    lines: tuple[str, ...] = ()
    then: Callable[[], None] | None = None


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


Handler = Callable[[Any, Command], Reply | Prompt]


def command(name: str, *ops: Op) -> Callable[[Handler], Handler]:
    """Marks a method as the handler of `AT<name>` in these forms."""

    def mark(handler: Handler) -> Handler:
        handlers: list[tuple[str, Op]] = getattr(handler, "handles", [])
        handler.handles = handlers + [(name, op) for op in ops]  # type: ignore[attr-defined]
        return handler

    return mark


class Family:
    """The commands of 3GPP TS 27.007 and V.250; a subclass adds its own and sets `table`."""

    table: ClassVar[Table]
    _handlers: ClassVar[dict[tuple[str, Op], str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._handlers = dict(cls._collect())

    @classmethod
    def _collect(cls) -> Iterator[tuple[tuple[str, Op], str]]:
        for base in reversed(cls.__mro__):
            for attribute, value in vars(base).items():
                for key in getattr(value, "handles", ()):
                    yield key, attribute

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        self.modem = modem
        self.rng = rng
        self.cme = 0
        self.registration_urc = 0
        digits = "".join(rng.choices("0123456789", k=9))
        self.imei = "867997" + digits
        self.imsi = "460041" + digits
        self.iccid = "898604" + digits + digits[:5]
        self.area = f"{rng.randrange(1, 0xFFFE):04X}"
        self.cell = f"{rng.randrange(1, 1 << 28):08X}"
        self.address = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(2, 255)}"

    def handle(self, command: Command) -> Reply | Prompt:
        """The answer; CommandError or GrammarError where there is none."""
        attribute = self._handlers.get((command.name, command.op))
        if attribute is None:
            raise GrammarError(f"no command {command.name}{command.op.value}")
        handler: Callable[[Command], Reply | Prompt] = getattr(self, attribute)
        return handler(command)

    def may_sleep(self) -> bool:
        """Whether the modem may fall asleep when nothing happens."""
        return False

    def on_pin(self, name: str, level: int) -> None:
        """A pin that only this family has."""

    def on_sleep(self) -> None:
        """The modem falls asleep now."""

    def on_reset(self) -> None:
        """Volatile settings return to their defaults: the modem restarts or lost power."""
        self.cme = 0
        self.registration_urc = 0

    def on_registration(self) -> None:
        """The network's answer changed."""
        if self.registration_urc:
            self.modem.urc("+CEREG: " + ",".join(self._registration()))

    def _registration(self) -> list[str]:
        network, detail = self.modem.network, self.registration_urc
        values = [str(int(network.stat))]
        if detail >= 2 and network.registered:
            values += [f'"{self.area}"', f'"{self.cell}"', str(self.table.technology)]
        elif detail >= 3 and network.cause:
            values += ["", "", "", "0", str(network.cause)]
        return values

    @command("", Op.EXECUTE)
    @command("&W", Op.EXECUTE)
    def _nothing(self, _: Command) -> Reply:
        return Reply()

    @command("E0", Op.EXECUTE)
    @command("E", Op.EXECUTE)
    def _echo_off(self, _: Command) -> Reply:
        self.modem.echo = False
        return Reply()

    @command("E1", Op.EXECUTE)
    def _echo_on(self, _: Command) -> Reply:
        self.modem.echo = True
        return Reply()

    @command("I", Op.EXECUTE)
    def _product(self, _: Command) -> Reply:
        return Reply(("Quectel", self.table.model, f"Revision: {self.table.firmware}"))

    @command("+CMEE", Op.SET)
    def _set_cme(self, command: Command) -> Reply:
        self.cme = command.number(0, 0, 2)
        return Reply()

    @command("+CFUN", Op.READ)
    def _functionality(self, _: Command) -> Reply:
        return Reply((f"+CFUN: {int(self.modem.radio)}",))

    @command("+CFUN", Op.SET)
    def _set_functionality(self, command: Command) -> Reply:
        self.modem.set_radio(command.number(0, 0, 1) == 1)
        return Reply()

    @command("+CPIN", Op.READ)
    def _pin_state(self, _: Command) -> Reply:
        return Reply(("+CPIN: READY",))

    @command("+CEREG", Op.READ)
    def _query_registration(self, _: Command) -> Reply:
        return Reply((f"+CEREG: {self.registration_urc}," + ",".join(self._registration()),))

    @command("+CEREG", Op.SET)
    def _set_registration(self, command: Command) -> Reply:
        self.registration_urc = command.number(0, 0, 3)
        return Reply()

    @command("+CGATT", Op.READ)
    def _attached(self, _: Command) -> Reply:
        return Reply((f"+CGATT: {int(self.modem.network.registered)}",))

    @command("+CIMI", Op.EXECUTE)
    def _subscriber(self, _: Command) -> Reply:
        return Reply((self.imsi,))

    @command("+CGMM", Op.EXECUTE)
    def _model(self, _: Command) -> Reply:
        return Reply((self.table.model,))

    @command("+CGMR", Op.EXECUTE)
    def _revision(self, _: Command) -> Reply:
        return Reply((self.table.firmware,))

    @command("+CSQ", Op.EXECUTE)
    def _signal(self, _: Command) -> Reply:
        return Reply(("+CSQ: 22,99" if self.modem.network.registered else "+CSQ: 99,99",))

    @command("+CESQ", Op.EXECUTE)
    def _extended_signal(self, _: Command) -> Reply:
        there = self.modem.network.registered
        return Reply(("+CESQ: 22,0,255,255,24,51" if there else "+CESQ: 99,99,255,255,255,255",))
