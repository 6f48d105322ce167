"""Which nodes a rollout is for: one SQL statement, and of every other node why it is not."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, literal, or_
from sqlalchemy.orm import Session

from fleet.identity.token_tables import NodeHmacKey
from fleet.query import grammar, statement
from fleet.query.fields import Bool, Context, negated
from fleet.registry.tables import Terminal
from fleet.releases import store, verify
from fleet.releases.tables import PROMOTED
from fleet.rollouts.errors import RolloutError
from fleet.updates.tables import Running
from fleet.wire import release as wire

# What a node's load is counted by. Nodes report no cell, so a street stands for the cells that
# serve it: the longest area code that the registry has for the node.
CELL = Terminal.area_code
# Roles with a valve: a second person approves what runs on them.
VALVE_ROLES = ("gas-meter",)


class Aim(NamedTuple):
    """A release and what of it decides whom it is for."""

    sequence: int
    role: str
    board: str
    runtime: tuple[int, int]
    needs: dict[int, int]  # the least version of a component that must be there before
    brings_runtime: bool
    jumps: bool  # the root keys signed it: a great jump of the sequence is allowed

    @property
    def has_valve(self) -> bool:
        """Whether it may run on nodes that have one."""
        return self.role in ("", *VALVE_ROLES)


class Ground(NamedTuple):
    """One thing that a node must fulfil. `key` names it; `source`: of the query, its words."""

    key: str
    source: str
    holds: Bool


def aim(session: Session, sequence: int, now_us: int) -> Aim:
    """Of a release that may be offered; ReleaseError and RolloutError say why not."""
    found = store.release(session, sequence)
    if found.state != PROMOTED:
        raise RolloutError(
            f"release {sequence} is {found.state}: kapok release promote {sequence}"
        )
    manifest = wire.decode(found.manifest)
    verify.in_time(manifest, now_us)
    _, signatures = wire.unseal(found.envelope)
    return Aim(
        sequence, found.role, found.board, manifest.runtime, dict(manifest.needs),
        any(each.kind == wire.RUNTIME for each in manifest.components),
        any(modulus for _kid, _signature, modulus in signatures),
    )  # fmt: skip


def grounds(what: Aim, query: str, now_us: int) -> list[Ground]:
    """What must hold of a node, in the order in which it is told; QueryError."""
    context = Context(now_us)
    tree = grammar.parse(query)
    found = [
        Ground("query", part.source, statement.condition(part, context))
        for part in grammar.terms(tree)
    ]
    found.append(Ground("state", "", Terminal.state == "active"))
    if what.role:
        found.append(Ground("role", "", Terminal.role == what.role))
    if what.board:  # a node whose board nobody knows is asked: it refuses another board's
        board = Terminal.board
        found.append(Ground("board", "", or_(board.is_(None), board == what.board)))
    runs, unsaid = Running.sequence, Running.node_id.is_(None)
    found.append(Ground("installed", "", or_(unsaid, runs != what.sequence)))
    found.append(Ground("newer", "", or_(unsaid, runs <= what.sequence)))
    if not what.jumps:
        least = what.sequence - wire.MAX_JUMP
        found.append(Ground("jump", "", or_(unsaid, runs >= least)))
    if not what.brings_runtime:
        least, most = what.runtime
        fits = or_(Running.runtime == 0, Running.runtime.between(least, most))
        found.append(Ground("runtime", "", or_(unsaid, fits)))
    if what.needs:  # of the keys no node says which it has: it is asked
        application = what.needs.get(wire.APPLICATION, 0)
        runtime = what.needs.get(wire.RUNTIME, 0)
        has = and_(runs >= application, or_(Running.runtime == 0, Running.runtime >= runtime))
        found.append(Ground("needs", "", or_(unsaid, has)))
    has_key = exists().where(NodeHmacKey.node_id == Terminal.id).correlate(Terminal)
    found.append(Ground("key", "", has_key))
    return found


def chosen(several: list[Ground], *columns: Any) -> Select[Any]:
    """The nodes of which all of it holds."""
    return statement.nodes(*columns).where(and_(*(each.holds for each in several)))


def reason(several: list[Ground]) -> ColumnElement[int]:
    """Of each node the place of the first that does not hold; -1: all do."""
    return case(
        *((negated(each.holds), literal(place)) for place, each in enumerate(several)),
        else_=literal(-1),
    )
