"""The packet domain of 3GPP TS 27.007 (chapter 10): registration, attach, PDP contexts, clock."""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem.choosing import Choosing
from hil.virtual.modem.clock import written
from hil.virtual.modem.family import CommandError, Reply, command
from hil.virtual.modem.general import NO_SERVICE
from hil.virtual.modem.grammar import Command, GrammarError, Op

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

CONTEXTS = 16
APN_MOST = 100


class PacketDomain(Choosing):
    """CEREG with every <n>, CGATT, CGDCONT, CGPADDR and CCLK; APNs are kept in the module's flash.

    `time_update`: whether the network's time sets the clock (+CTZU).
    """

    time_update_default = True
    unset_clock = "70/01/01,00:00:09+00"

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.registration_urc = 0
        self._told = ""  # the newest URC, or what it would have been
        self.contexts = {self.table.context: ("IP", self.table.apn)}
        self.time_update = self.time_update_default

    @property
    def apn(self) -> str:
        """Of the context that the sockets use."""
        return self.contexts.get(self.table.context, ("IP", ""))[1]

    def context_active(self) -> bool:
        """Whether sockets may be opened."""
        return self.modem.network.registered and self.modem.context_allowed

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.registration_urc = 0

    def on_registration(self) -> None:
        """As Family.on_registration."""
        self.on_choice()
        line = self.line("+CEREG", *self._registration())
        if self.registration_urc and line != self._told:
            self.modem.urc(line)
        self._told = line

    def _registration(self) -> list[str | int]:
        # 10.1.22: <stat>[,<tac>,<ci>,<AcT>[,<cause_type>,<reject_cause>[,<T3324>,<T3412ext>]]]
        network, detail, text = self.modem.network, self.registration_urc, self.table.style.text
        values: list[str | int] = [int(network.stat)]
        place: list[str | int] = ["", "", ""]
        if detail >= 2 and network.registered:
            place = [text(self.area), text(self.cell), self.table.technology]
        cause: list[str | int] = ["", ""]
        if detail in (3, 5) and network.cause and not network.registered:
            cause = [0, network.cause]
        timers: list[str | int] = ["", ""]
        granted = self.modem.saving.psm_granted
        if detail >= 4 and network.registered and granted is not None:
            timers = [text(granted[1]), text(granted[0])]
        tail = place + cause + timers
        while tail and tail[-1] == "":
            tail.pop()
        return values + tail

    @command("+CEREG", Op.READ)
    def _query_registration(self, _: Command) -> Reply:
        return Reply((self.line("+CEREG", self.registration_urc, *self._registration()),))

    @command("+CEREG", Op.SET)
    def _set_registration(self, command: Command) -> Reply:
        mode = command.number(0, 0, 5)
        if mode not in self.table.registration_modes:
            raise GrammarError(f"+CEREG: no mode {mode}")
        self.registration_urc = mode
        self._told = self.line("+CEREG", *self._registration())
        return Reply()

    @command("+CGATT", Op.READ)
    def _attached(self, _: Command) -> Reply:
        return Reply((self.line("+CGATT", int(self.modem.network.registered)),))

    @command("+CGATT", Op.SET)
    def _attach(self, command: Command) -> Reply:
        wanted = command.number(0, 0, 1) == 1
        if wanted and not self.modem.radio:
            raise CommandError(NO_SERVICE)
        return Reply(then=self.modem.network.start if wanted else self._detach)

    def _detach(self) -> None:
        self.modem.network.stop()
        self.modem.bridge.drop()
        self.on_registration()

    @command("+CGDCONT", Op.SET)
    def _define_context(self, command: Command) -> Reply:
        number = command.number(0, 0, CONTEXTS - 1)
        kind, apn = command.text(1, "").upper(), command.text(2, "")
        if len(command.args) == 1:
            self.contexts.pop(number, None)
        elif kind not in ("IP", "IPV6", "IPV4V6", "NONIP") or len(apn) > APN_MOST:
            raise GrammarError("+CGDCONT")
        else:
            self.contexts[number] = (kind, apn)
        return Reply()

    @command("+CGDCONT", Op.READ)
    def _query_contexts(self, _: Command) -> Reply:
        lines = []
        for number, (kind, apn) in sorted(self.contexts.items()):
            address = f'"{self.context_address(number)}"'
            lines.append(self.line("+CGDCONT", number, f'"{kind}"', f'"{apn}"', address, 0, 0))
        return Reply(tuple(lines))

    def context_address(self, number: int) -> str:
        """IPv4 address of context `number`, empty while it has none."""
        there = number == self.table.context and self.modem.network.registered
        return self.address if there else ""

    @command("+CGPADDR", Op.SET)
    def _one_address(self, command: Command) -> Reply:
        return Reply((self._address_line(command.number(0, 0, CONTEXTS - 1)),))

    @command("+CGPADDR", Op.EXECUTE)
    def _addresses(self, _: Command) -> Reply:
        return Reply(tuple(self._address_line(number) for number in sorted(self.contexts)))

    def _address_line(self, number: int) -> str:
        address = self.context_address(number)
        values = (self.table.style.address(address),) if address else ()
        return self.line("+CGPADDR", number, *values)

    # -- clock ----------------------------------------------------------------------------------

    def clock_text(self) -> str:
        """What +CCLK says, without quotes: local time and its zone (27.007 section 8.15)."""
        if not (self.time_update and self.modem.network.time_known):
            return self.unset_clock
        return f"{written(self.modem.now_s() + self.modem.zone_s)[2:]}{self.modem.zone}"

    @command("+CCLK", Op.READ)
    def _clock(self, _: Command) -> Reply:
        return Reply((self.line("+CCLK", f'"{self.clock_text()}"'),))

    @command("+CTZU", Op.READ)
    def _updates_time(self, _: Command) -> Reply:
        return Reply((self.line("+CTZU", int(self.time_update)),))

    @command("+CTZU", Op.SET)
    def _update_time(self, command: Command) -> Reply:
        self.time_update = command.number(0, 0, 3) > 0
        return Reply()
