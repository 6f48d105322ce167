"""The modem twin: power, sleep, and its UART. What it says is its family's."""

import random
from collections import deque
from collections.abc import Mapping
from typing import Any

from hil.virtual.modem import energy, sim
from hil.virtual.modem.cellular import Cellular
from hil.virtual.modem.delays import Alarm
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.fota import Fota
from hil.virtual.modem.ppp_call import PppCall
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.state import State
from hil.virtual.modem.tape import Tape
from hil.virtual.modem.terminal import LOG_MOST, Terminal
from hil.virtual.modem.wire import Wire
from hil.virtual.twin import UartPort

DEFAULT_RESOLVE = {"localhost": "127.0.0.1"}


class ModemTwin(Cellular):
    """A UartTwin. `family` is a name of FAMILIES; everything random comes from `seed`.

    `scenario`: the air, the SIM, the supply, the line, what befalls it. Before the scenario's come
    `attach_delay_s`: least and most virtual seconds from radio on to registered.
    `chatter`: chance that a URC without meaning slips into a reply.
    `resolve`: host name -> loopback address; "*" is every other name. Nothing else is ever called.
    `mute` may be set at any time: the modem takes in everything and answers nothing. `hung` is
    the same until it starts anew. `tape` gets what goes over the UART.
    """

    def __init__(
        self,
        family: str,
        *,
        seed: int,
        attach_delay_s: tuple[float, float] | None = None,
        resolve: Mapping[str, str] | None = None,
        zone_quarters: int = 32,
        chatter: float | None = None,
        scenario: Scenario | None = None,
        tape: Tape | None = None,
    ) -> None:
        if family not in FAMILIES:
            raise ValueError(f"modem twin {family!r}: known are {', '.join(sorted(FAMILIES))}")
        self._rng = random.Random(f"{family} {seed}")
        self.tape = tape
        self.scenario = Scenario() if scenario is None else scenario
        self.power = energy.load(family)
        self._air_rng = random.Random(f"air {family} {seed}")
        self._attach_delay_s = attach_delay_s or self.scenario.attach_delay_s
        self._resolve = dict(DEFAULT_RESOLVE if resolve is None else resolve)
        self._chatter = self.scenario.chatter if chatter is None else chatter
        self._state = State.OFF
        self.zone_s = zone_quarters * 900
        self.zone = f"{zone_quarters:+03d}"
        self.boots = 0
        self.sleeps = 0
        self.log: deque[str] = deque(maxlen=LOG_MOST)
        self.sim = sim.make(self.scenario.sim, self._air_rng)
        self.family: Any = FAMILIES[family](self, self._rng)
        self.fota = Fota(self, self.family.table.firmware, self.scenario.fota)

    # -- what a test looks at and sets ----------------------------------------------------------

    @property
    def state(self) -> State:
        """What the modem is doing."""
        if self._state is State.COMMAND and self.terminal.prompting:
            return State.DATA
        return self._state

    @property
    def commands(self) -> int:
        """How many command lines the modem took in."""
        return self.terminal.commands

    @property
    def echo(self) -> bool:
        """ATE."""
        return self.terminal.echo

    @echo.setter
    def echo(self, on: bool) -> None:
        self.terminal.echo = on

    @property
    def ip(self) -> PppCall | None:
        """The PPP of a family that has it, a board's IpLink."""
        return getattr(self.family, "ppp", None)

    # -- UartTwin -------------------------------------------------------------------------------

    def attach(self, port: UartPort) -> None:
        """As UartTwin.attach."""
        self._port = port
        self._begin = Alarm(port)  # the end of booting or waking
        self._idle = Alarm(port)
        self.wire = Wire(port, self._rng, self.scenario.line.baud, self.scenario.line, self.tape)
        self.terminal = Terminal(self, port, self.wire, self._rng, self._chatter, self.log)
        self._make_air(port)

    def power_on(self) -> None:
        """Power, and with it the start: PWRKEY is wired to ground."""
        if self._state is State.OFF:
            self._boot()
            self.timeline.trigger("power")

    def power_off(self) -> None:
        """At once: no detach, no FIN; only the modem's flash is kept."""
        self._halt()
        self.network.forget_time()
        self.wire.reset()

    def deep_sleep_of_host(self) -> None:
        """The modem lives on. What it heard of a line that is not complete is noise."""
        self.terminal.clear_line()

    def pin(self, name: str, level: int) -> None:
        """`reset`, `pwrkey` act when let go; `cut` opens the supply; others are the family's."""
        if name == "reset":
            (self._halt if level else self._boot)()
        elif name == "cut":
            (self.power_off if level else self.power_on)()
        elif name == "pwrkey" and self._state is State.OFF:
            if not level:
                self._boot()
        elif self._state is not State.OFF:
            self.family.on_pin(name, level)
            self.touch()

    def on_bytes(self, data: bytes) -> None:
        """As UartTwin.on_bytes; total: any bytes give answers or nothing."""
        self.terminal.heard(len(data))
        if self.tape is not None:
            self.tape.speak("host", data, self._port.now())
        if self._state is State.ASLEEP:
            if self.family.wakes_by_bytes():
                self.wake()
        elif self._state is State.COMMAND and self.speaks():
            self.touch()
            self.terminal.feed(self.wire.hear(data))

    # -- what the family uses -------------------------------------------------------------------

    def urc(self, line: str) -> None:
        """Send a line that nobody asked for."""
        self.transmit(b"\r\n" + line.encode() + b"\r\n")

    def answer(self, line: str | bytes) -> None:
        """Send a line of a reply: not before the command came in and was worked on."""
        self.terminal.answer(line)

    def transmit(self, data: bytes) -> None:
        """Send bytes as they are, unless the modem is in a state that sends nothing."""
        self.terminal.transmit(data)

    def wake(self) -> None:
        """End the sleep; takes the family's wake time, in which bytes are lost."""
        if self._state is State.ASLEEP:
            self._state = State.WAKING
            self.account()
            self._begin.set_in(self._rng.uniform(*self.family.table.wake_s), self._woken)

    def restart(self) -> None:
        """Start anew, as after QRST or a brown-out of the modem alone."""
        self._halt()
        self._boot()

    def shut_down(self) -> None:
        """Off until PWRKEY or new power."""
        self._halt()

    # -- what the parts use ---------------------------------------------------------------------

    def speaks(self) -> bool:
        """Whether it sends on its UART."""
        up = self._state in (State.COMMAND, State.WRITING)
        return up and not (self.mute or self.hung)

    def touch(self) -> None:
        """Something happened: the time until sleep begins anew.

        No timer runs without need: to the board it is an event, and virtual time jumps to events
        even while real sockets are open.
        """
        self._idle.cancel()
        busy = self.fota.fetching or not self.network.settled
        if self.state is State.COMMAND and self.family.may_sleep() and not busy:
            self._idle.set_in(self.family.sleep_after_s, self._maybe_sleep)

    def account(self) -> None:
        """Tell the ledger what the module draws from now on where its radio has nothing to do."""
        if self._state is State.OFF:
            self.ledger.base("off")
        elif self._state is State.ASLEEP:
            self.ledger.base(*self.resting())
        elif self.searching():
            self.ledger.base("search", self.power.ma["rx"])
        else:
            self.ledger.base("idle")

    def fall_asleep(self) -> None:
        """Now, whatever the host has allowed."""
        if self._state is not State.COMMAND:
            return
        self._idle.cancel()
        self.terminal.clear()
        self._state = State.ASLEEP
        self.sleeps += 1
        self.account()
        self.family.on_sleep()

    def _maybe_sleep(self) -> None:
        if self.fota.fetching:
            self.touch()
        elif self.air.connected:
            self._idle.set(self.air.idle_at_us, self._maybe_sleep)
        else:
            self.fall_asleep()

    # -- power and sleep ------------------------------------------------------------------------

    def _boot(self) -> None:
        self._halt()
        self.boots += 1
        self._state = State.BOOTING
        self.account()
        self._begin.set_in(self._rng.uniform(*self.family.table.boot_s), self._booted)

    def _booted(self) -> None:
        if self.fota.writing:
            self._state = State.WRITING
            self.account()
            self.fota.write(self._begin.set_in)
            return
        self._state = State.COMMAND
        for noise in self.family.greeting():
            self.transmit(noise)
        if self.scenario.line.autobaud:
            self.terminal.train()
        self.network.start()
        self.account()
        self.touch()

    def _halt(self) -> None:
        self._begin.cancel()
        self._idle.cancel()
        if self._state is State.WRITING:
            self.fota.interrupted += self.fota.writing
        self._state = State.OFF
        self.terminal.reset()
        self.silence()
        self.sim.power_cycle()
        self.radio = True
        self.hung = False
        self.family.on_reset()
        self.account()

    def _woken(self) -> None:
        self._state = State.COMMAND
        self.terminal.clear()
        self.transmit(b"\r\n")
        self.account()
        self.touch()
