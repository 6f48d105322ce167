"""What nodes run, as they last said; in the caller's transaction."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fleet.updates.tables import Running
from fleet.wire.uplink import IMAGE, RELEASE, RUNTIME

_LEGAL = {RELEASE: 0x7FFFFFFF, IMAGE: 0xFFFFFFFF, RUNTIME: 0xFFFFFF}


def told(session: Session, statuses: Mapping[str, Mapping[int, int]], now_us: int) -> None:
    """Note what statuses say; nothing is written of a node that runs what it ran."""
    said = {node_id: status for node_id, status in statuses.items() if says(status)}
    if not said:
        return
    known = of(session, said)
    names = ("sequence", "image", "runtime")
    rows = []
    for node_id, status in said.items():
        row = known.get(node_id)
        before = [0, 0, 0] if row is None else [row.sequence, row.image, row.runtime]
        new = [status.get(key, old) for key, old in zip(_LEGAL, before, strict=True)]
        if IMAGE in status and RELEASE not in status:
            new[0] = 0  # a development build
        if row is None or new != before:
            values = dict(zip(names, new, strict=True))
            rows.append({"node_id": node_id, "since_us": now_us, **values})
    if not rows:
        return
    postgres = session.connection().dialect.name == "postgresql"
    insert = postgresql.insert if postgres else sqlite.insert
    statement = insert(Running).values(rows)
    columns = (*names, "since_us")
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["node_id"], set_={name: statement.excluded[name] for name in columns}
        )
    )


def of(session: Session, node_ids: Iterable[str]) -> dict[str, Running]:
    """Of those of `node_ids` that ever said so."""
    rows = session.scalars(
        select(Running)
        .where(Running.node_id.in_(list(node_ids)))
        .execution_options(populate_existing=True)
    )
    return {row.node_id: row for row in rows}


def says(status: Mapping[int, int]) -> bool:
    """Whether a status says what its node runs; a number that cannot be says nothing."""
    told_keys = [key for key in _LEGAL if key in status]
    return bool(told_keys) and all(0 <= status[key] <= _LEGAL[key] for key in told_keys)
