"""How deliveries end: counted once, and a command whose last one ended is over.

What a session holds of these rows is not brought up to date: read them anew.
"""

from collections.abc import Sequence

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from fleet.control.command_tables import Command, Delivery
from fleet.control.tables import Downlink
from fleet.registry.operations import now_us

QUEUED, DELIVERED = "queued", "delivered"
EXECUTED, REFUSED, EXPIRED = "executed", "refused", "expired"
OPEN = (QUEUED, DELIVERED)

# Why a delivery ended, where no result of the node's says so: keys of texts, `why.<key>`.
UNAPPROVED, APPROVAL_ENDED, CANCELLED = "unapproved", "approval-ended", "cancelled"
NO_RESULT, NO_KEY, QUEUE_FULL, GONE = "no-result", "no-key", "queue-full", "gone"
OVERTAKEN, TOLD, PROVISIONED = "overtaken", "told", "provisioned"


def end_queued(session: Session, command_id: int, why: str) -> int:
    """What no node was given yet expires now; how many. What was given is not given again."""
    ended = list(
        session.scalars(
            update(Delivery)
            .where(Delivery.command_id == command_id, Delivery.state == QUEUED)
            .values(state=EXPIRED, why=why, ended_us=now_us())
            .returning(Delivery.node_id)
            .execution_options(synchronize_session=False)
        )
    )
    numbers = select(Delivery.node_id, Delivery.number).where(
        Delivery.command_id == command_id, Delivery.number.is_not(None)
    )
    session.execute(
        update(Downlink)
        .where(
            tuple_(Downlink.node_id, Downlink.number).in_(numbers), Downlink.settled_us.is_(None)
        )
        .values(expires_us=now_us())
        .execution_options(synchronize_session=False)
    )
    count_ended(session, command_id, len(ended))
    return len(ended)


def end_delivered(session: Session, command_id: int) -> int:
    """Nobody waits any longer for what nodes have not told; how many."""
    ended = list(
        session.scalars(
            update(Delivery)
            .where(Delivery.command_id == command_id, Delivery.state == DELIVERED)
            .values(state=EXPIRED, why=NO_RESULT, ended_us=now_us())
            .returning(Delivery.node_id)
            .execution_options(synchronize_session=False)
        )
    )
    count_ended(session, command_id, len(ended))
    return len(ended)


def end_of_node(session: Session, node_id: str, why: str) -> None:
    """Whatever is open for a node ends, as when it is provisioned anew."""
    ended = session.scalars(
        update(Delivery)
        .where(Delivery.node_id == node_id, Delivery.state.in_(OPEN))
        .values(state=EXPIRED, why=why, ended_us=now_us())
        .returning(Delivery.command_id)
        .execution_options(synchronize_session=False)
    )
    for command_id in list(ended):
        count_ended(session, command_id, 1)


def told_by_status(session: Session, node_id: str, handled: int, refused: int) -> None:
    """What a node's status says, until a result says more: it refused one item; and what was
    below the highest that it is done with, and never given to it, it will never take.
    """
    overtaken = update(Delivery).where(
        Delivery.node_id == node_id, Delivery.number <= handled, Delivery.state == QUEUED
    )
    refusing = update(Delivery).where(
        Delivery.node_id == node_id, Delivery.number == refused, Delivery.state == DELIVERED
    )
    for change, why in ((overtaken, OVERTAKEN), (refusing, TOLD)):
        ended = session.scalars(
            change.values(state=REFUSED, why=why, ended_us=now_us())
            .returning(Delivery.command_id)
            .execution_options(synchronize_session=False)
        )
        for command_id in list(ended):
            count_ended(session, command_id, 1)


def mark_delivered(session: Session, keys: Sequence[tuple[str, int]], at_us: int) -> None:
    """(node id, number) of items that were put into answers; the first time counts."""
    session.execute(
        update(Delivery)
        .where(tuple_(Delivery.node_id, Delivery.number).in_(keys), Delivery.state == QUEUED)
        .values(state=DELIVERED, delivered_us=at_us)
        .execution_options(synchronize_session=False)
    )


def count_ended(session: Session, command_id: int, count: int) -> None:
    """So many deliveries of a command were open and are not any more."""
    if count:
        session.execute(
            update(Command)
            .where(Command.id == command_id)
            .values(open=Command.open - count)
            .execution_options(synchronize_session=False)
        )
    session.execute(
        update(Command)
        .where(Command.id == command_id, Command.open <= 0)
        .values(due_us=None, unreleased=0)
        .execution_options(synchronize_session=False)
    )
