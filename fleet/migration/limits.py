"""What the programmes that move assets, and people, say of their readings: gaps, and how much is
too much at once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from fleet.migration.policy import Policy
from fleet.migration.scaling import Meaning, Most, Read
from fleet.migration.swap_tables import LedgerPolicy
from fleet.migration.tables import PLANNED, MigrationItem
from fleet.registry.sub_tables import SubDevice
from fleet.telemetry.metering.tables import HeldRead

_ACCEPTED: Final = "accepted"  # worklist.py


class Limit(NamedTuple):
    """Of an asset. `policy` None: no programme moves it, and nothing is too much: metering holds
    what is (fleet/telemetry/metering). `accepted`: what somebody vouched for.
    """

    policy: Policy | None
    accepted: frozenset[Read] = frozenset()

    def most(self, meaning: Meaning, register: int) -> Most | None:
        """What a reading may add that is read so."""
        if self.policy is None:
            return None
        return Most(self.policy.most_per_day, meaning, register, self.accepted)


NONE: Final = Limit(None)


def of_assets(session: Session, asset_ids: Sequence[int]) -> dict[int, Limit]:
    """Of those that a programme moves, or that are behind a terminal which it moves: of several
    the newest that went beyond its plan counts.
    """
    found: dict[int, Limit] = {}
    names = Policy._fields
    item = MigrationItem
    columns = [getattr(LedgerPolicy, name) for name in names]
    order = (case((item.state == PLANNED, 0), else_=1), item.id)
    behind = (
        select(SubDevice.asset_id, *columns)
        .join(item, item.asset_id == SubDevice.gateway_id)
        .outerjoin(LedgerPolicy, LedgerPolicy.programme_id == item.programme_id)
        .where(SubDevice.asset_id.in_(asset_ids))
        .order_by(*order)
    )
    own = (
        select(item.asset_id, *columns)
        .outerjoin(LedgerPolicy, LedgerPolicy.programme_id == item.programme_id)
        .where(item.asset_id.in_(asset_ids))
        .order_by(*order)
    )
    for query in (behind, own):
        for asset_id, *values in session.execute(query):
            policy = Policy() if values[0] is None else Policy(*values)
            found[asset_id] = Limit(policy)
    accepted: dict[int, set[Read]] = {}
    for asset_id, at_us, raw in session.execute(
        select(HeldRead.asset_id, HeldRead.at_us, HeldRead.raw).where(
            HeldRead.asset_id.in_(list(found)), HeldRead.outcome == _ACCEPTED
        )
    ):
        accepted.setdefault(asset_id, set()).add(Read(at_us, raw))
    for asset_id, reads in accepted.items():
        found[asset_id] = found[asset_id]._replace(accepted=frozenset(reads))
    return found
