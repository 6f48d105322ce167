"""The live set of revoked serial numbers, which a broker asks at every action."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.identity.tables import RevokedSerial

# Identifiers may become visible out of order when two transactions commit at once.
_OVERLAP = 256


class RevokedSerials:
    """A set that follows the table by what was added since, never by reading all of it again.

    Call the object with a serial number: True when revoked. Call `refresh` every few seconds,
    and after a revocation, from any thread: additions to a set are atomic.
    """

    def __init__(self) -> None:
        self._serials: set[int] = set()
        self._last = 0

    def __call__(self, serial: int) -> bool:
        return serial in self._serials

    def __len__(self) -> int:
        return len(self._serials)

    def refresh(self, session: Session) -> int:
        """Read the rows added since the last call; the number of serials that were new."""
        before = len(self._serials)
        rows = session.execute(
            select(RevokedSerial.id, RevokedSerial.serial)
            .where(RevokedSerial.id > self._last - _OVERLAP)
            .order_by(RevokedSerial.id)
        )
        for identifier, serial in rows:
            self._serials.add(int(serial, 16))
            self._last = max(self._last, identifier)
        return len(self._serials) - before
