"""A clone is flagged, its node quarantined, later released; in the caller's transaction."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.alarms import operations as alarms
from fleet.clones.epochs import Epochs
from fleet.clones.tables import EpochWatch
from fleet.registry import operations as registry
from fleet.wire import cbor

KIND = "clone"


def flag(session: Session, node_id: str, evidence: str, **values: str | int) -> bool:
    """Raise the alarm and refuse the node's reports from now on; True when the alarm is new.

    `evidence` names a text of the catalogue, `evidence.<name>`, which takes `values`. A node that
    is revoked or retired stays so; one that is not registered is not flagged.
    """
    standing = registry.standings(session, [node_id]).get(node_id)
    if standing is None:
        return False
    if standing.state == "active":
        registry.set_state(session, node_id, "quarantined")
    return alarms.raise_alarm(
        session, KIND, node_id, {"node": node_id, "evidence": evidence, **values}
    )


def release(session: Session, node_id: str, person: str) -> None:
    """End the quarantine and its alarm; what was seen counts no more.

    RegistryError when the node is not in quarantine.
    """
    found = registry.show_node(session, node_id)
    if found.state != "quarantined":
        raise registry.RegistryError(f"node {node_id} is {found.state}, not quarantined")
    registry.set_state(session, node_id, "active")
    forget(session, node_id, person)


def forget(session: Session, node_id: str, person: str) -> None:
    """End the alarm; what was seen counts no more."""
    alarms.clear(session, KIND, node_id, person)
    row = session.get(EpochWatch, node_id)
    if row is not None:
        row.returns, row.earlier = 0, cbor.encode([])
    session.flush()


class EpochWatches:
    """The epochs of the nodes of one batch, their rows locked until the commit."""

    def __init__(self, session: Session, node_ids: Iterable[str]) -> None:
        self._session = session
        query = select(EpochWatch).where(EpochWatch.node_id.in_(sorted(node_ids)))
        found = session.scalars(query.order_by(EpochWatch.node_id).with_for_update())
        self._rows = {row.node_id: row for row in found}

    def note(self, node_id: str, epoch: int) -> bool:
        """New records of `epoch` came; True when two journals report in turns."""
        row = self._rows.get(node_id)
        if row is None:
            row = EpochWatch(node_id=node_id, epoch=epoch, returns=0, earlier=cbor.encode([]))
            self._session.add(row)
            self._rows[node_id] = row
            return False
        if row.epoch == epoch:
            return False
        now = Epochs(row.epoch, row.returns, _pairs(row.earlier)).followed_by(epoch)
        row.epoch, row.returns = now.epoch, now.returns
        row.earlier = cbor.encode([number for pair in now.earlier for number in pair])
        return now.are_of_two

    def before(self, node_id: str) -> int:
        """The epoch before the present one, 0: there was none."""
        earlier = _pairs(self._rows[node_id].earlier)
        return earlier[-1][0] if earlier else 0


def _pairs(raw: bytes) -> tuple[tuple[int, int], ...]:
    value = cbor.decode(raw)
    if not isinstance(value, list):
        raise ValueError("an epoch watch is damaged")
    return tuple(zip(value[::2], value[1::2], strict=True))
