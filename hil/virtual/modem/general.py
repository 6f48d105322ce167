"""The commands of V.250 and the general ones of 3GPP TS 27.007: identity, SIM, radio, signal."""

from hil.virtual.modem.family import CommandError, Family, Reply, command
from hil.virtual.modem.grammar import Command, Op

# +CME ERROR, 3GPP TS 27.007 section 9.2.
NOT_ALLOWED = 3
NOT_SUPPORTED = 4
SIM_ABSENT = 10
SIM_PIN = 11
SIM_PUK = 12
WRONG_PASSWORD = 16
NO_SERVICE = 30
WRONG_PARAMETER = 50


class General(Family):
    """What every family answers alike."""

    def card(self) -> None:
        """CommandError where there is no card that is ready."""
        missing = {"NOT INSERTED": SIM_ABSENT, "SIM PIN": SIM_PIN, "SIM PUK": SIM_PUK}
        if self.modem.sim.state in missing:
            raise CommandError(missing[self.modem.sim.state])

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
        return Reply((self.table.vendor, self.table.model, f"Revision: {self.modem.fota.version}"))

    @command("+CMEE", Op.SET)
    def _set_cme(self, command: Command) -> Reply:
        self.cme = command.number(0, 0, 2)
        return Reply()

    @command("+CFUN", Op.READ)
    def _functionality(self, _: Command) -> Reply:
        return Reply((self.line("+CFUN", int(self.modem.radio)),))

    @command("+CFUN", Op.SET)
    def _set_functionality(self, command: Command) -> Reply:
        on = command.number(0, 0, 1) == 1
        if command.number(1, 0, 1, 0):
            return Reply(then=self.modem.restart)
        self.modem.set_radio(on)
        return Reply()

    @command("+CPIN", Op.READ)
    def _pin_state(self, _: Command) -> Reply:
        if self.modem.sim.state == "NOT INSERTED":
            raise CommandError(SIM_ABSENT)
        return Reply((self.line("+CPIN", self.modem.sim.state),))

    @command("+CPIN", Op.SET)
    def _enter_pin(self, command: Command) -> Reply:
        if self.modem.sim.state == "NOT INSERTED":
            raise CommandError(SIM_ABSENT)
        if command.has(1):
            done = self.modem.sim.unblock(command.text(0), command.text(1))
        else:
            done = self.modem.sim.enter(command.text(0))
        if not done:
            raise CommandError(SIM_PUK if self.modem.sim.state == "SIM PUK" else WRONG_PASSWORD)
        return Reply(then=self.modem.network.start)

    @command("+CIMI", Op.EXECUTE)
    def _subscriber(self, _: Command) -> Reply:
        self.card()
        return Reply((self.imsi,))

    @command("+CGMI", Op.EXECUTE)
    def _manufacturer(self, _: Command) -> Reply:
        return Reply((self.table.vendor,))

    @command("+CGMM", Op.EXECUTE)
    def _model(self, _: Command) -> Reply:
        return Reply((self.table.model,))

    @command("+CGMR", Op.EXECUTE)
    def _revision(self, _: Command) -> Reply:
        return Reply((self.modem.fota.version,))

    @command("+CSQ", Op.EXECUTE)
    def _signal(self, _: Command) -> Reply:
        signal = self.modem.signal()
        return Reply((self.line("+CSQ", signal.csq if signal else 99, 99),))

    @command("+CESQ", Op.EXECUTE)
    def _extended_signal(self, _: Command) -> Reply:
        signal = self.modem.signal()
        quality = (signal.cesq_rsrq, signal.cesq_rsrp) if signal else (255, 255)
        return Reply((self.line("+CESQ", 99, 99, 255, 255, *quality),))
