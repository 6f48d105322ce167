"""What the ledger refuses, and what an invariant that does not hold is called."""

from typing import Final, NamedTuple

from fleet.errors import Refusal

# Of docs/migration.md; E is the chain of evidence under all of them.
INVARIANTS: Final = {
    "I1": "the billing index never goes back but by a recorded, signed event",
    "I2": "what was used over any window is last minus first",
    "I3": "each reading is billed once, though a dual run sends it twice",
    "I4": "no gap is longer than the policy without being told an estimate",
    "I5": "after a rollback the old terminal is billed, and I1 to I4 hold",
    "I6": "clock shifts and counters that begin anew are accounted for",
    "I7": "a change of unit or decimals is recorded",
    "E": "evidence is whole, in its chain, and signed",
}


class LedgerError(Refusal, ValueError):
    """The continuity ledger refused; the text is one line: what, where, what to do next."""


class Breach(NamedTuple):
    """An invariant that does not hold: which, of which asset's register (None: of none), how."""

    invariant: str
    asset_id: int | None
    register: int | None
    text: str

    def line(self) -> str:
        """For people."""
        where = "" if self.asset_id is None else f" asset id:{self.asset_id}"
        if self.register is not None:
            where += f" register {self.register}"
        return f"{self.invariant}{where}: {self.text}"


class BrokenInvariant(LedgerError):
    """A transition would have broken an invariant: nothing of it was done."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(f"{breach.line()} ({INVARIANTS[breach.invariant]})")
        self.breach = breach
