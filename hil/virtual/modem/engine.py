"""The modem twin: power, sleep, and the UART's two modes. What it says is its family's."""

import random
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, auto

from hil.virtual.modem.bridge import Bridge, Connection
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.family import CommandError, Prompt, Reply
from hil.virtual.modem.grammar import GrammarError, is_command, parse
from hil.virtual.modem.network import Network
from hil.virtual.modem.quectel import Quectel
from hil.virtual.modem.receiver import Receiver
from hil.virtual.modem.wire import Wire
from hil.virtual.twin import Timer, UartPort

PROMPT_US = 60_000_000  # data mode gives up after this
ANSWER_US = (2_000, 22_000)  # 22 ms from AT to OK in a recorded transcript
DEFAULT_RESOLVE = {"localhost": "127.0.0.1"}
LOG_MOST = 200


class State(Enum):
    """What the modem does with bytes that come in."""

    OFF = auto()  # nothing
    BOOTING = auto()  # loses them
    ASLEEP = auto()  # wakes up on the first, and loses them all
    WAKING = auto()  # loses them
    COMMAND = auto()
    DATA = auto()


class ModemTwin:
    """A UartTwin. `family` is "bc660k" or "ec200"; everything random comes from `seed`.

    `attach_delay_s`: least and most virtual seconds from radio on to registered.
    `resolve`: host name -> loopback address; "*" is every other name. Nothing else is ever called.
    `chatter`: chance that a URC without meaning slips into a reply.
    `mute` may be set at any time: the modem then takes in everything and answers nothing.
    """

    def __init__(
        self,
        family: str,
        *,
        seed: int,
        attach_delay_s: tuple[float, float] = (20, 40),
        resolve: Mapping[str, str] | None = None,
        zone_quarters: int = 32,
        chatter: float = 0.05,
    ) -> None:
        if family not in FAMILIES:
            raise ValueError(f"modem twin {family!r}: known are {', '.join(sorted(FAMILIES))}")
        self._rng = random.Random(f"{family} {seed}")
        self._attach_delay_s = attach_delay_s
        self._resolve = dict(DEFAULT_RESOLVE if resolve is None else resolve)
        self._chatter = chatter
        self._state = State.OFF
        self._timer: Timer | None = None  # the end of booting, waking or a prompt
        self._idle: Timer | None = None
        self._input = Receiver(self._on_line, self._on_data)
        self._prompt: Prompt | None = None
        self._received_us = 0  # when the newest byte from the host has wholly arrived
        self.zone_s = zone_quarters * 900
        self.zone = f"{zone_quarters:+03d}"
        self.echo = True
        self.radio = True
        self.mute = False
        self.boots = 0
        self.sleeps = 0
        self.log: deque[str] = deque(maxlen=LOG_MOST)
        self.family: Quectel = FAMILIES[family](self, self._rng)

    # -- what a test looks at and sets ----------------------------------------------------------

    @property
    def state(self) -> State:
        """What the modem is doing."""
        return self._state

    @property
    def connections(self) -> list[Connection]:
        """The newest connections, oldest first, with their counters; closed ones too."""
        return list(self.bridge.history)

    @property
    def up_bytes(self) -> int:
        """Payload bytes of all connections that the modem's TCP took from the host."""
        return self.bridge.up

    @property
    def down_bytes(self) -> int:
        """Payload bytes of all connections that came from peers."""
        return self.bridge.down

    # -- UartTwin -------------------------------------------------------------------------------

    def attach(self, port: UartPort) -> None:
        """As UartTwin.attach."""
        self._port = port
        self.wire = Wire(port, self._rng)
        self.network = Network(port, self._rng, self._attach_delay_s, self._on_network)
        self.bridge = Bridge(
            port,
            self.wire,
            self._resolve,
            self.family.on_data,
            self.family.on_closed,
        )

    def power_on(self) -> None:
        """Power, and with it the start: PWRKEY is wired to ground."""
        if self._state is State.OFF:
            self._boot()

    def power_off(self) -> None:
        """At once: no detach, no FIN; only the modem's flash is kept."""
        self._halt()
        self.network.forget_time()
        self.wire.reset()

    def deep_sleep_of_host(self) -> None:
        """The modem lives on. What it heard of a line that is not complete is noise."""
        self._input.clear_line()

    def pin(self, name: str, level: int) -> None:
        """`reset` and `pwrkey` act when they are let go; the others are the family's."""
        if name == "reset":
            if level:
                self._halt()
            else:
                self._boot()
        elif name == "pwrkey":
            if not level and self._state is State.OFF:
                self._boot()
        elif self._state is not State.OFF:
            self.family.on_pin(name, level)
            self._touch()

    def on_bytes(self, data: bytes) -> None:
        """As UartTwin.on_bytes; total: any bytes give answers or nothing."""
        now = self._port.now()
        self._received_us = max(now, self._received_us) + self.wire.duration_us(len(data))
        if self._state is State.ASLEEP:
            self.wake()
        elif self._state in (State.COMMAND, State.DATA) and not self.mute:
            self._touch()
            for byte in data:
                self._input.feed(byte)

    # -- what the family uses -------------------------------------------------------------------

    def now_s(self) -> int:
        """Virtual seconds since 1970 UTC."""
        return self._port.now() // 1_000_000

    def urc(self, line: str) -> None:
        """Send a line that nobody asked for."""
        self.transmit(b"\r\n" + line.encode() + b"\r\n")

    def answer(self, line: str) -> None:
        """Send a line of a reply: not before the command came in and was worked on."""
        worked_us = self._rng.randint(*ANSWER_US)
        self._transmit(b"\r\n" + line.encode() + b"\r\n", self._received_us + worked_us)

    def transmit(self, data: bytes) -> None:
        """Send bytes as they are, unless the modem is in a state that sends nothing."""
        self._transmit(data, 0)

    def set_radio(self, on: bool) -> None:
        """CFUN."""
        self.radio = on
        if on:
            self.network.start()
        else:
            was = self.network.registered
            self.network.stop()
            self.bridge.drop()
            if was:
                self.family.on_registration()

    def wake(self) -> None:
        """End the sleep; takes the family's wake time, in which bytes are lost."""
        if self._state is State.ASLEEP:
            self._state = State.WAKING
            self._after(self._rng.uniform(*self.family.table.wake_s), self._woken)

    def restart(self) -> None:
        """Start anew, as after QRST or a brown-out of the modem alone."""
        self._halt()
        self._boot()

    def shut_down(self) -> None:
        """Off until PWRKEY or new power."""
        self._halt()

    # -- power and sleep ------------------------------------------------------------------------

    def _boot(self) -> None:
        self._halt()
        self.boots += 1
        self._state = State.BOOTING
        self._after(self._rng.uniform(*self.family.table.boot_s), self._booted)

    def _booted(self) -> None:
        self._state = State.COMMAND
        for noise in self.family.table.boot_noise:
            self.transmit(noise)
        self.network.start()
        self._touch()

    def _halt(self) -> None:
        self._cancel()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._state = State.OFF
        self._clear_input()
        self.bridge.drop()
        self.network.stop()
        self.radio = True
        self.echo = True
        self.family.on_reset()

    def _woken(self) -> None:
        self._state = State.COMMAND
        self._clear_input()
        self.transmit(b"\r\n")
        self._touch()

    def _touch(self) -> None:
        # Something happened: the time until sleep begins anew. No timer runs without need: to the
        # board it is an event, and virtual time jumps to events even while real sockets are open.
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._state is State.COMMAND and self.family.may_sleep() and self.network.settled:
            due = self._port.now() + int(self.family.table.sleep_after_s * 1_000_000)
            self._idle = self._port.call_at(due, self._fall_asleep)

    def _fall_asleep(self) -> None:
        self._idle = None
        self._state = State.ASLEEP
        self.sleeps += 1
        self.family.on_sleep()

    def _on_network(self) -> None:
        self.family.on_registration()
        self._touch()

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        self._cancel()
        self._timer = self._port.call_at(self._port.now() + int(seconds * 1_000_000), then)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the UART -------------------------------------------------------------------------------

    def _transmit(self, data: bytes, not_before_us: int) -> None:
        if self._state in (State.COMMAND, State.DATA) and not self.mute:
            self.wire.send(data, not_before_us)
            self._touch()

    def _clear_input(self) -> None:
        self._input.clear()
        self._prompt = None

    def _on_data(self, data: bytes) -> None:
        prompt = self._prompt
        self._cancel()
        self._clear_input()
        self._state = State.COMMAND
        if self.echo:
            self._transmit(data, self._received_us)
        if prompt is not None:
            prompt.take(data)

    def _prompt_expired(self) -> None:
        self._timer = None
        self._clear_input()
        self._state = State.COMMAND
        self.answer("ERROR")

    def _on_line(self, raw: bytes, too_long: bool) -> None:
        if self.echo:
            self._transmit(raw + b"\r", self._received_us)
        line = raw.decode("ascii", "replace").strip()
        if not line:
            return
        self.log.append(line)
        if not is_command(line):
            return
        try:
            if too_long:
                raise GrammarError("the line is too long")
            reply = self.family.handle(parse(line))
        except GrammarError:
            self.answer("ERROR")
        except CommandError as e:
            if self.family.cme and e.code is not None:
                self.answer(f"+CME ERROR: {e.code}")
            else:
                self.answer("ERROR")
        else:
            self._reply(reply)

    def _reply(self, reply: Reply | Prompt) -> None:
        if self._rng.random() < self._chatter:
            self.urc(self._rng.choice(self.family.table.chatter))
        if isinstance(reply, Prompt):
            self._state = State.DATA
            self._prompt = reply
            self._input.expect(reply.length)
            self._transmit(b"\r\n> ", self._received_us + self._rng.randint(*ANSWER_US))
            self._after(PROMPT_US / 1_000_000, self._prompt_expired)
            return
        for line in reply.lines:
            self.answer(line)
        self.answer("OK")
        if reply.then is not None:
            reply.then()
