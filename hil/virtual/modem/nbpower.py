"""What Quectel's NB-IoT families add to power saving. BC660K-GL AT Commands Manual, 9 and 11.1."""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem import periods
from hil.virtual.modem.family import CommandError, Reply, command
from hil.virtual.modem.general import NOT_ALLOWED
from hil.virtual.modem.grammar import Command, GrammarError, Op
from hil.virtual.modem.psm import PowerSaving

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

PSM_EVENT = 1  # of +QNBIOTEVENT
OFF = -1  # of +QPSMS: the timer is deactivated
ACTIVE_MOST, TAU_MOST = 11_160, 35_712_000  # seconds
# Defaults. slplocktimes: seconds that it stays awake behind the last command; those that only the
# radio protocol would notice are kept and told, no more.
SETTINGS = {"DataInactTimer": 60, "slplocktimes": 10, "MacRAI": 0, "relversion": 13}


class QuectelPowerSaving(PowerSaving):
    """QNBIOTEVENT, QNBIOTRAI, QPSMS, CSCON and QCFG; all but the second outlive a restart."""

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.tells_events = False
        self.settings = dict(SETTINGS)

    @property
    def sleep_after_s(self) -> float:
        """As set by QCFG; in seconds (AT manual)."""
        return float(self.settings["slplocktimes"])

    def on_psm(self, entered: bool) -> None:
        """As Family.on_psm, told by QNBIOTEVENT."""
        super().on_psm(entered)
        if self.tells_events:
            self.modem.urc(f'+QNBIOTEVENT: "{"ENTER" if entered else "EXIT"} PSM"')

    @command("+QNBIOTEVENT", Op.SET)
    def _tell_events(self, command: Command) -> Reply:
        command.number(1, PSM_EVENT, PSM_EVENT)
        self.tells_events = command.number(0, 0, 1) == 1
        return Reply()

    @command("+QNBIOTEVENT", Op.READ)
    def _tells_events(self, _: Command) -> Reply:
        return Reply((f"+QNBIOTEVENT: {int(self.tells_events)},{PSM_EVENT}",))

    @command("+QNBIOTRAI", Op.SET)
    def _release_connection(self, command: Command) -> Reply:
        # Only while connected; a packet without data carries the assistance.
        mode = command.number(0, 0, 1)
        if not self.modem.air.connected:
            raise CommandError(NOT_ALLOWED)
        return Reply(then=self._say_no_more if mode else None)

    def _say_no_more(self) -> None:
        self.modem.air.up(1, lambda: None, release=1)

    @command("+CSCON", Op.READ)
    def _connection(self, _: Command) -> Reply:
        return Reply((f"+CSCON: 0,{int(self.modem.air.connected)}",))

    @command("+QPSMS", Op.SET)
    def _save_seconds(self, command: Command) -> Reply:
        # The greatest values that exist and are not greater than these.
        active_s, tau_s = command.number(0, 0, ACTIVE_MOST), command.number(1, 0, TAU_MOST)
        self.psm = periods.t3412_floor(tau_s), periods.t3324_floor(active_s)
        self.psm_on = True
        self.modem.saving.request_psm(*self.psm)
        return Reply()

    @command("+QPSMS", Op.READ)
    def _granted_seconds(self, _: Command) -> Reply:
        granted = self.modem.saving.psm_granted
        if granted is None:
            return Reply((f"+QPSMS: {OFF},{OFF}",))
        tau_s, active_s = periods.t3412_s(granted[0]), periods.t3324_s(granted[1])
        return Reply((f"+QPSMS: {active_s},{OFF if tau_s is None else tau_s}",))

    @command("+QCFG", Op.SET)
    def _configure(self, command: Command) -> Reply:
        names = {name.lower(): name for name in SETTINGS}
        name = names.get(command.text(0).lower())
        if name is None:
            raise GrammarError("+QCFG: the twin has no such setting")
        if not command.has(1):
            return Reply((f'+QCFG: "{name}",{self.settings[name]}',))
        if name == "DataInactTimer" and self.modem.radio:
            raise CommandError(NOT_ALLOWED)  # at CFUN=0 only
        self.settings[name] = command.number(1, 0, 255)
        return Reply()
