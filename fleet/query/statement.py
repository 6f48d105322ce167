"""A query as one SQL statement over the registry."""

from typing import Any

from sqlalchemy import Select, and_, or_, select, true
from sqlalchemy.orm import Session

from fleet.query.fields import Bool, Context, compared, negated
from fleet.query.grammar import Both, Comparison, Either, Every, Not, Tree, parse
from fleet.registry.tables import Terminal
from fleet.updates.tables import Running


def condition(tree: Tree, context: Context) -> Bool:
    """A tree as a condition on Terminal and Running (see `nodes`); QueryError."""
    match tree:
        case Comparison():
            return compared(tree, context)
        case Not():
            return negated(condition(tree.part, context))
        case Both():
            return and_(*(condition(part, context) for part in tree.parts))
        case Either():
            return or_(*(condition(part, context) for part in tree.parts))
        case Every():
            return true()


def nodes(*columns: Any) -> Select[Any]:
    """Some columns of nodes and of what they run; a condition goes with it."""
    return (
        select(*columns)
        .select_from(Terminal)
        .outerjoin(Running, Running.node_id == Terminal.id)
        .where(Terminal.kind == "node")
    )


def chosen(text: str, now_us: int, *columns: Any) -> Select[Any]:
    """The nodes of a query: their ids, or `columns`; QueryError."""
    return nodes(*(columns or (Terminal.id,))).where(condition(parse(text), Context(now_us)))


def matches(session: Session, text: str, node_id: str, now_us: int) -> bool:
    """Whether a node is one of a query's: for rights that a query bounds; QueryError."""
    one = chosen(text, now_us).where(Terminal.id == node_id)
    return session.scalar(one) is not None
