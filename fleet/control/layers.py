"""What is wanted of areas, groups and nodes: merge patches onto layers, each with its version."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fleet import schema
from fleet.control import checks, desired
from fleet.control.desired_tables import Layer, LayerChange
from fleet.control.errors import ControlError
from fleet.control.persons import check_person
from fleet.control.targets import NODE, Target, check_target
from fleet.registry.operations import now_us
from fleet.registry.tables import Terminal

PAGE = 1000
_MOST = 8192  # characters of a layer


class Shown(NamedTuple):
    """A layer; version 0: nothing was ever wanted of it by this one."""

    target: Target
    version: int
    values: dict[str, Any]


class Change(NamedTuple):
    """One step of a layer's history; `changed_us` since 1970 UTC."""

    version: int
    patch: dict[str, Any]
    person: str
    changed_us: int


class Set(NamedTuple):
    """The layer's new version, and how many nodes got a patch at once: a large target's nodes
    follow while `kapok serve` runs.
    """

    version: int
    nodes: int


def set_(
    session: Session,
    target: Target,
    patch: Mapping[str, Any],
    person: str,
    *,
    version: int | None = None,
) -> Set:
    """Merge `patch` into a layer; a key of None is not wanted any more.

    ControlError: an unknown target or key, a value out of bounds, or another `version` than the
    one that the caller saw.
    """
    check_target(session, target)
    roles = roles_of(session, target)
    checks.check_patch(patch, roles)
    who = check_person(person)
    row = _locked(session, target)
    if version is not None and version != row.version:
        raise ControlError(
            f"{target} is at version {row.version}, not {version}: somebody changed it; look again"
        )
    values: dict[str, Any] = json.loads(row.content)
    for key, value in patch.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
    for role in roles:
        try:
            checks.check_whole(role, values)
        except ControlError:
            if role == target.role or _is_there(session, role):
                raise
    content = json.dumps(values, ensure_ascii=False, sort_keys=True)
    if len(content) > _MOST:
        raise ControlError(f"{target}: {len(content)} characters; {_MOST} at most")
    if content == row.content:
        return Set(row.version, 0)  # nothing new: no version, and nothing to do
    row.content, row.version = content, row.version + 1
    session.add(
        LayerChange(
            kind=target.kind, name=target.name, role=target.role, version=row.version,
            patch=json.dumps(dict(patch), ensure_ascii=False), person=who, changed_us=now_us(),
        )
    )  # fmt: skip
    session.flush()
    return Set(row.version, desired.begin(session, target))


def _is_there(session: Session, role: str) -> bool:
    """Whether the fleet has a node of the role: of none there is nothing to refuse for."""
    query = select(Terminal.id).where(Terminal.role == role, Terminal.state == "active").limit(1)
    return session.scalar(query) is not None


def show(session: Session, target: Target) -> Shown:
    """What is wanted of a target by its own layer."""
    check_target(session, target)
    row = session.get(Layer, (target.kind, target.name, target.role))
    if row is None:
        return Shown(target, 0, {})
    return Shown(target, row.version, json.loads(row.content))


def list_(session: Session, after: Target | None = None, limit: int = PAGE) -> list[Shown]:
    """Layers that want something, by kind, name and role, those behind `after`."""
    query = select(Layer).where(Layer.content != "{}")
    if after is not None:
        query = query.where(tuple_(Layer.kind, Layer.name, Layer.role) > tuple(after))
    rows = session.scalars(query.order_by(Layer.kind, Layer.name, Layer.role).limit(limit))
    return [
        Shown(Target(row.kind, row.name, row.role), row.version, json.loads(row.content))
        for row in rows
    ]


def history(session: Session, target: Target, limit: int = PAGE) -> list[Change]:
    """Who changed a layer, newest last, `limit` at most."""
    check_target(session, target)
    rows = session.execute(
        select(LayerChange.version, LayerChange.patch, LayerChange.person, LayerChange.changed_us)
        .where(
            LayerChange.kind == target.kind,
            LayerChange.name == target.name,
            LayerChange.role == target.role,
        )
        .order_by(LayerChange.id.desc())
        .limit(min(limit, PAGE))
    ).all()
    return [Change(row[0], json.loads(row[1]), *row[2:]) for row in reversed(rows)]


def roles_of(session: Session, target: Target) -> list[str]:
    """The roles whose nodes a layer may speak to."""
    if target.kind == NODE and target.role:
        raise ControlError("a node has one role: what is wanted of it is not for another")
    if target.kind == NODE:
        return [session.get_one(Terminal, target.name).role]
    if target.role:
        checks.of_role(target.role)  # or ControlError
        return [target.role]
    return list(schema.ROLES)


def _locked(session: Session, target: Target) -> Layer:
    at = (target.kind, target.name, target.role)
    row = session.get(Layer, at, with_for_update=True, populate_existing=True)
    if row is None:
        row = Layer(kind=at[0], name=at[1], role=at[2], content="{}", version=0)
        session.add(row)
        session.flush()
    return row
