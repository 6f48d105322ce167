"""`kapok` with a guard taken out: `python -m tests.bench.unplug_sabotage NAME[,NAME] ARGUMENTS`.

confirm-first: the fleet is told that the board has its identity before it is written to it.
careless: what is written to the board lies in a temporary file too.
"""

import sys
import tempfile
from collections.abc import Callable
from typing import Any

from fleet.cli.main import main
from fleet.flashing import provision, provision_many


class _Between:
    """Passes everything on but what a subclass does otherwise."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _ConfirmFirst(_Between):
    """A fleet that confirms what it has just given."""

    def claim(self, asked: dict[str, str]) -> dict[str, Any]:
        claimed: dict[str, Any] = self._real.claim(asked)
        self._real.confirm(asked["node"], str(claimed["serial"]))
        return claimed


class _Careless(_Between):
    """A link that keeps what it writes."""

    def write_partition(self, label: str, data: bytes) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(data)
        self._real.write_partition(label, data)


def sabotaged(names: list[str]) -> Callable[..., provision.Done]:
    """provision_board, worse."""
    right = provision.provision_board

    def wrong(name: str, link: Any, fleet: Any, order: Any, say: Any) -> provision.Done:
        fleet = _ConfirmFirst(fleet) if "confirm-first" in names else fleet
        link = _Careless(link) if "careless" in names else link
        return right(name, link, fleet, order, say)

    return wrong


if __name__ == "__main__":
    given = sys.argv.pop(1).split(",")
    assert {*given} <= {"confirm-first", "careless"}, given
    provision_many.provision_board = sabotaged(given)  # type: ignore[attr-defined]
    main()
