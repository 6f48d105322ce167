"""The commands around a PPP call: ATD*99#, ATO, ATH (3GPP TS 27.007, 10.2.1.1; V.250, 6.3)."""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem.family import CommandError, Reply, command
from hil.virtual.modem.grammar import Command, Op
from hil.virtual.modem.packet import PacketDomain
from hil.virtual.modem.ppp_call import LOST, PppCall

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

CONNECT = "CONNECT 150000000"
NOT_ALLOWED = 3
NO_SERVICE = 30
NO_DATA = 148


class Dialling(PacketDomain):
    """A family that has PPP, on the context of its table."""

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.ppp = PppCall(modem, rng)

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.ppp.hang_up()

    def on_sleep(self) -> None:
        """As Family.on_sleep."""
        super().on_sleep()
        self.ppp.hang_up()

    def on_registration(self) -> None:
        """As Family.on_registration."""
        super().on_registration()
        if not self.modem.network.registered:
            self.ppp.lose()

    def on_deactivated(self) -> None:
        """As Family.on_deactivated."""
        super().on_deactivated()
        self.ppp.lose()

    @command("D*99#", Op.EXECUTE)
    @command("D*99***1#", Op.EXECUTE)
    def _dial(self, _: Command) -> Reply:
        if self.ppp.active or self.contexts.get(self.table.context, ("",))[0] != "IP":
            raise CommandError(NOT_ALLOWED)
        if not self.modem.network.registered:
            raise CommandError(NO_SERVICE)
        if not self.modem.context_allowed:
            raise CommandError(NO_DATA)
        return Reply(final=CONNECT, then=lambda: self.ppp.begin(self.address))

    @command("O", Op.EXECUTE)
    @command("O0", Op.EXECUTE)
    def _resume(self, _: Command) -> Reply:
        if not self.ppp.active:
            return Reply(final=LOST)
        return Reply(final=CONNECT, then=self.ppp.resume)

    @command("H", Op.EXECUTE)
    @command("H0", Op.EXECUTE)
    def _hang_up(self, _: Command) -> Reply:
        self.ppp.hang_up()
        return Reply()
