"""Power saving mode and eDRX by 3GPP TS 27.007: CPSMS, CEDRXS, CEDRXRDP."""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem.family import CommandError, Reply, command
from hil.virtual.modem.general import WRONG_PARAMETER
from hil.virtual.modem.grammar import Command, Op
from hil.virtual.modem.packet import PacketDomain

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

NB_S1 = 5  # <AcT-type> of +CEDRXS


def timer(text: str, width: int) -> str:
    """`text` where it is `width` binary digits, else CommandError."""
    if len(text) != width or set(text) - {"0", "1"}:
        raise CommandError(WRONG_PARAMETER)
    return text


class PowerSaving(PacketDomain):
    """What was asked for is kept in the module's flash; what is granted the network says."""

    psm_default = ("01000001", "00000101")  # T3412ext 10 h, T3324 10 s
    edrx_default = "0101"  # 81.92 s

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.psm = self.psm_default
        self.psm_on = False
        self.edrx = self.edrx_default
        self.edrx_on = False

    @command("+CPSMS", Op.READ)
    def _saving(self, _: Command) -> Reply:
        if not self.psm_on:
            return Reply((self.line("+CPSMS", 0),))
        tau, active = (self.table.style.text(bits) for bits in self.psm)
        return Reply((self.line("+CPSMS", 1, "", "", tau, active),))

    @command("+CPSMS", Op.SET)
    def _save(self, command: Command) -> Reply:
        mode = command.number(0, 0, 2)
        if mode == 2:
            self.psm = self.psm_default
        if mode != 1:
            self.psm_on = False
            self.modem.saving.psm_off()
            return Reply()
        self.psm = (
            timer(command.text(3, self.psm[0]), 8),
            timer(command.text(4, self.psm[1]), 8),
        )
        self.psm_on = True
        self.modem.saving.request_psm(*self.psm)
        return Reply()

    @command("+CEDRXS", Op.READ)
    def _cycles(self, _: Command) -> Reply:
        if not self.edrx_on:
            return Reply()
        return Reply((self.line("+CEDRXS", NB_S1, self.table.style.text(self.edrx)),))

    @command("+CEDRXS", Op.SET)
    def _cycle(self, command: Command) -> Reply:
        mode = command.number(0, 0, 3)
        if mode in (0, 3):
            self.edrx_on = False
            self.modem.saving.edrx_off()
            return Reply()
        command.number(1, NB_S1, NB_S1)
        self.edrx = timer(command.text(2, self.edrx), 4)
        self.edrx_on = True
        self.modem.saving.request_edrx(self.edrx)
        return Reply()

    @command("+CEDRXRDP", Op.EXECUTE)
    def _granted_cycle(self, _: Command) -> Reply:
        granted = self.modem.saving.edrx_granted
        if granted is None:
            return Reply((self.line("+CEDRXRDP", 0),))
        bits = (self.table.style.text(text) for text in (self.edrx, *granted))
        return Reply((self.line("+CEDRXRDP", NB_S1, *bits),))
