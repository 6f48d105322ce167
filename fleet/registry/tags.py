"""Tags: words that people give to nodes, to choose them by; in the caller's transaction."""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.registry.operations import RegistryError, check_node_id
from fleet.registry.tables import Terminal, TerminalTag

MOST = 20  # of one node
MOST_AT_ONCE = 1000  # nodes
_TAG = re.compile(r"[\w][\w .:/-]{0,38}[\w]|[\w]")


def change(
    session: Session, node_ids: Iterable[str], add: Sequence[str], remove: Sequence[str]
) -> int:
    """Give tags to nodes and take others; how many of both. RegistryError: no such node, no
    tag, too many.
    """
    for tag in add:
        if not _TAG.fullmatch(tag):
            raise RegistryError(f"tag {tag[:40]!r}: 1 to 40 letters, digits, blanks and _.:/-")
    nodes = list(dict.fromkeys(check_node_id(each) for each in node_ids))
    if len(nodes) > MOST_AT_ONCE:
        raise RegistryError(f"{len(nodes)} nodes at once: {MOST_AT_ONCE} at most")
    known = set(session.scalars(select(Terminal.id).where(Terminal.id.in_(nodes))))
    done = 0
    for node_id in nodes:
        if node_id not in known:
            raise RegistryError(f"node {node_id} is not registered: kapok node list")
        has = set(of(session, node_id))
        gone = has.intersection(remove)
        session.execute(
            delete(TerminalTag).where(TerminalTag.node_id == node_id, TerminalTag.tag.in_(gone))
        )
        new = set(add) - has
        if len(has - gone | new) > MOST:
            raise RegistryError(f"node {node_id} would have over {MOST} tags")
        session.add_all(TerminalTag(tag=tag, node_id=node_id) for tag in sorted(new))
        done += len(gone) + len(new)
    session.flush()
    return done


def of(session: Session, node_id: str) -> list[str]:
    """A node's tags, by name."""
    return list(
        session.scalars(
            select(TerminalTag.tag).where(TerminalTag.node_id == node_id).order_by(TerminalTag.tag)
        )
    )
