"""How each family is told to take new firmware, and what it says of it on the UART.

Quectel: DFOTA guides of EC200U, BC660K-GL and BG96. SIMCom: A76XX AT Command Manual V1.09, 22.2.1
and 22.3; of the SIM7080 AT+HTTPTOFS and AT+CFOTA by public drivers.
"""

from typing import ClassVar

from hil.virtual.modem.family import CommandError, Family, Reply, command
from hil.virtual.modem.fota import Step, Trouble
from hil.virtual.modem.grammar import Command, GrammarError, Op

URL_MOST = 255
RESTART_S = 8.0  # of A7670, behind +CFOTA: 100
CAT1_TROUBLES = {
    Trouble.UNKNOWN_HOST: 705,
    Trouble.NOT_CONNECTED: 706,
    Trouble.NO_FILE: 703,
    Trouble.LOST: 702,
    Trouble.DAMAGED: 505,
    Trouble.OTHER_MODULE: 552,
    Trouble.OTHER_VERSION: 507,
    Trouble.FLASH: 504,
}
NBIOT_TROUBLES = {
    **dict.fromkeys((Trouble.NO_FILE, Trouble.LOST), 12),  # "download failed"
    Trouble.UNKNOWN_HOST: 10,
    Trouble.NOT_CONNECTED: 11,
    Trouble.DAMAGED: 505,
    Trouble.OTHER_MODULE: 552,
    Trouble.OTHER_VERSION: 507,
    Trouble.FLASH: 504,
}
SIMCOM_TROUBLES = {
    Trouble.UNKNOWN_HOST: 1003,
    Trouble.NOT_CONNECTED: 1007,
    Trouble.NO_FILE: 1005,
    Trouble.LOST: 1002,
    Trouble.DAMAGED: 1008,
    Trouble.OTHER_MODULE: 1008,
    Trouble.OTHER_VERSION: 1008,
    Trouble.FLASH: 1009,
}
FILE_TROUBLES = {Trouble.UNKNOWN_HOST: 603, Trouble.NO_FILE: 404}  # else 601, network error
LINES = {Step.BEGAN: "HTTPSTART", Step.STARTED: "START"}
NUMBERS = {
    Step.FETCHING: "DOWNLOADING",
    Step.FAILED: "HTTPEND",
    Step.WRITING: "UPDATING",
    Step.BROKEN: "END",
}


class Updating(Family):
    """What the families share: one package at a time, while there is a network."""

    def take(self, url: str) -> Reply:
        """OK, and then the package is fetched."""
        if self.modem.fota.options.fault == "refuse":
            raise CommandError()
        if not self.modem.network.registered or self.modem.fota.fetching:
            raise CommandError()
        return Reply(then=lambda: self.modem.fota.fetch(url))

    def url(self, command: Command, index: int) -> str:
        """Argument `index`, in quotes."""
        url = command.string(index)
        if len(url) > URL_MOST:
            raise GrammarError(f"{command.name}: the address is too long")
        return url


class QuectelUpdating(Updating):
    """AT+QFOTADL. `restarts_by_mode`: only <upgrade_mode> 1 has it restart by itself (EC200U)."""

    fota_troubles: ClassVar[dict[Trouble, int]] = CAT1_TROUBLES
    restarts_by_mode = True

    def on_fota(self, step: Step, value: int) -> None:
        """As Family.on_fota."""
        if step in LINES:
            self.modem.urc(f'+QIND: "FOTA","{LINES[step]}"')
        elif step is Step.FETCHED:
            self.modem.urc('+QIND: "FOTA","HTTPEND",0')
        elif step is Step.WRITTEN:
            self.modem.urc('+QIND: "FOTA","END",0')
        else:
            broken = step in (Step.FAILED, Step.BROKEN)
            number = self.fota_troubles[Trouble(value)] if broken else value
            self.modem.urc(f'+QIND: "FOTA","{NUMBERS[step]}",{number}')

    @command("+QFOTADL", Op.SET)
    def _update(self, command: Command) -> Reply:
        url = self.url(command, 0)
        if not url.lower().startswith("http://"):
            raise GrammarError("+QFOTADL: the twin fetches by HTTP only")
        if self.restarts_by_mode:
            self.modem.fota.restart_s = 0.0 if command.number(1, 0, 1, 0) else None
            command.number(2, 40, 600, 50)
        elif len(command.args) > 1:
            raise GrammarError("+QFOTADL: an address alone")
        return self.take(url)


class NbiotUpdating(QuectelUpdating):
    """BC660K takes the address alone."""

    fota_troubles = NBIOT_TROUBLES
    restarts_by_mode = False


class CfotaUpdating(Updating):
    """A7670: AT+CFOTA=<channel>,<mode>,"<host:port/path>",<user>,<password>."""

    def on_fota(self, step: Step, value: int) -> None:
        """As Family.on_fota; it restarts 8 s behind the last line."""
        lines = {
            Step.BEGAN: "FOTA,START",
            Step.FETCHING: f"DOWNLOADING:{value}",
            Step.WRITING: f"UPDATE:{value}",
            Step.WRITTEN: "UPDATE SUCCESS.",
            Step.BROKEN: "UPDATE FAIL.",
            Step.FETCHED: "100",
        }
        if step is Step.FAILED:
            self.urc("+CFOTA", SIMCOM_TROUBLES[Trouble(value)])
        elif step in lines:
            self.urc("+CFOTA", lines[step])

    @command("+CFOTA", Op.SET)
    def _update(self, command: Command) -> Reply:
        command.number(0, 0, 5)
        command.number(1, 1, 1)
        url = self.url(command, 2)
        self.modem.fota.restart_s = RESTART_S
        command.text(3)
        command.text(4)
        return self.take(url if "://" in url else f"http://{url}")


class FileUpdating(Updating):
    """SIM7080: AT+HTTPTOFS brings the package into its file system, AT+CFOTA=1 writes it."""

    FILE = "/fota/update.zip"

    def on_fota(self, step: Step, value: int) -> None:
        """As Family.on_fota."""
        if step is Step.FETCHED:
            self.urc("+HTTPTOFS", 200, value)
        elif step is Step.FAILED:
            self.urc("+HTTPTOFS", FILE_TROUBLES.get(Trouble(value), 601), 0)
        elif step is Step.WRITING:
            self.urc("+CFOTA", '"Updating"', value)
        elif step is Step.WRITTEN:
            self.urc("+CFOTA", '"Update successfully, please wait for reset"')
        elif step is Step.BROKEN:
            self.urc("+CFOTA", '"Update failed, please wait for reset"')

    @command("+HTTPTOFS", Op.SET)
    def _fetch(self, command: Command) -> Reply:
        if command.string(1) != self.FILE:
            raise CommandError()
        command.number(2, 10, 1000, 50)
        command.number(3, 5, 100, 5)
        self.modem.fota.restart_s = None
        return self.take(self.url(command, 0))

    @command("+HTTPTOFSRL", Op.READ)
    def _fetched(self, _: Command) -> Reply:
        there, total = self.modem.fota.progress
        return Reply((self.line("+HTTPTOFSRL", int(self.modem.fota.fetching), there, total),))

    @command("+CFOTA", Op.SET)
    def _update(self, command: Command) -> Reply:
        command.number(0, 1, 1)
        if not self.modem.fota.package:
            raise CommandError()
        self.urc("+CFOTA", '"Start to update"')
        return Reply(then=self.modem.fota.start)
