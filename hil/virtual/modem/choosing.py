"""The choice of an operator: +COPS of 3GPP TS 27.007, section 7.3."""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem.family import CommandError, Reply, command
from hil.virtual.modem.general import NO_SERVICE, General
from hil.virtual.modem.grammar import Command, GrammarError, Op
from hil.virtual.modem.network import Stat

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

FOUND_NOTHING_S = 45.0
EMERGENCY_ONLY = 32  # +CME ERROR: network not allowed
NUMERIC = 2


class Choosing(General):
    """`answers_late`: a family's COPS answers when the search is over, as Cat 1 modules do; the
    others take it, and search behind OK.
    """

    answers_late = False

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self._format = 0
        self._waits = 0  # the number of the choice that is not answered yet; 0: none is
        self._choices = 0

    def on_reset(self) -> None:
        """As Family.on_reset; the choice itself is in flash."""
        super().on_reset()
        self._format = self._waits = 0

    def on_choice(self) -> None:
        """The network has answered: so does a command that waits for it."""
        stat = self.modem.network.stat
        if not self._waits or stat not in (Stat.HOME, Stat.ROAMING, Stat.DENIED):
            return
        self._waits = 0
        if stat is Stat.DENIED:
            self.finish(error=EMERGENCY_ONLY, failed=True)
        else:
            self.finish()

    @command("+COPS", Op.READ)
    def _operator(self, _: Command) -> Reply:
        around = self.modem.surroundings
        values: list[str | int] = [1 if around.manual else 0]
        found = around.best()
        if self.modem.network.registered and found is not None:
            name = found.plmn if self._format == NUMERIC else found.name or found.plmn
            values += [self._format, f'"{name}"', self.table.technology]
        return Reply((self.line("+COPS", *values),))

    @command("+COPS", Op.TEST)
    def _operators(self, _: Command) -> Reply:
        around, told = self.modem.surroundings, []
        for plmn, one in around.operators().items():
            stat = 3 if one.refuse is not None else 1
            if self.modem.network.registered and around.best() == one:
                stat = 2
            name = one.name or plmn
            told.append(f'({stat},"{name}","{name}","{plmn}",{self.table.technology})')
        return Reply((self.line("+COPS", *told, "", "(0,1,2,3)", "(0,2)"),))

    @command("+COPS", Op.SET)
    def _choose(self, command: Command) -> Reply:
        mode, around = command.number(0, 0, 4), self.modem.surroundings
        if mode == 3:
            self._format = command.number(1, 0, 2)
            return Reply()
        if mode == 0:
            return Reply(then=(lambda: around.choose("")) if around.manual else None)
        if mode != 1:
            raise GrammarError("+COPS")
        if not self.modem.radio:
            raise CommandError(NO_SERVICE)
        if command.number(1, 0, 2) != NUMERIC:
            raise GrammarError("+COPS: the twin has numbers only")
        plmn = command.text(2)
        if not self.answers_late:
            return Reply(then=lambda: around.choose(plmn))
        return Reply(final="", then=lambda: self._begin(plmn))

    def _begin(self, plmn: str) -> None:
        self._choices += 1
        number = self._waits = self._choices
        self.modem.surroundings.choose(plmn)
        self.modem.timeline.later(FOUND_NOTHING_S, lambda: self._give_up(number))

    def _give_up(self, number: int) -> None:
        # As long as a cell answers the search goes on.
        if self._waits == number and self.modem.surroundings.best() is None:
            self._waits = 0
            self.finish(error=NO_SERVICE, failed=True)
