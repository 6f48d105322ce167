"""Read routes of commands, groups and configuration. Who may order is decided at the command
line, until persons can be told apart here: nothing is asked for or approved over HTTP.
"""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from fleet.control import command_lists, drift, groups, keys, layers, wording
from fleet.control.errors import ControlError
from fleet.control.targets import Target
from fleet.db.base import Database
from fleet.registry import operations as registry

Limit = Annotated[int, Query(ge=1, le=1000)]
Lang = Annotated[str, Query(pattern="^(en|zh)$")]
Kind = Annotated[str, Query(pattern="^(area|group|node)$")]
Identifier = Annotated[int, Query(ge=0, lt=1 << 31)]


class CommandOut(BaseModel):
    """A command; times in us since 1970 UTC; `nodes`: how many are in which state."""

    id: int
    name: str
    arguments: list[int]
    target: str
    state: str
    asked_by: str
    asked_us: int
    approved_by: str | None
    approved_us: int | None
    until_us: int
    cancelled_by: str | None
    per_minute: int
    total: int
    nodes: dict[str, int]


class PartOut(BaseModel):
    """A node's part in a command; `text` says why it is as it is."""

    node: str
    state: str
    why: str
    number: int | None
    result: int | None
    detail: int | None
    trust: int | None
    delivered_us: int | None
    ended_us: int | None
    text: str


class GroupOut(BaseModel):
    """A group of nodes."""

    name: str
    rank: int
    nodes: int


class LayerOut(BaseModel):
    """What is wanted of an area, a group or a node; version 0: nothing ever was."""

    kind: str
    name: str
    role: str
    version: int
    values: dict[str, Any]


class KeyOut(BaseModel):
    """A key of a node: wanted by which layer, and as the node reports it."""

    key: str
    wanted: Any
    of: str
    reported: Any


class DriftOut(BaseModel):
    """A node that does not report what is wanted; `keys`: [wanted, reported] by key."""

    node: str
    role: str
    area: str
    number: int | None
    state: str
    text: str
    keys: dict[str, tuple[Any, Any]]


class SchemaOut(BaseModel):
    """A key of a role; `most` is a length but for integers."""

    name: str
    kind: str
    least: int | None
    most: int
    default: Any


def router(database: Database) -> APIRouter:
    """The routes on a database."""
    routes = APIRouter()

    @routes.get("/api/commands")
    def commands(
        history: bool = False, node: str = "", before: Identifier = 0, limit: Limit = 100
    ) -> list[CommandOut]:
        """Commands, the newest first; only those that are not over unless `history`."""
        with database.read() as session:
            found = command_lists.list_(
                session, history=history, node_id=node, before=before, limit=limit
            )
        return [_command(one) for one in found]

    @routes.get("/api/commands/{identifier}")
    def command(identifier: int) -> CommandOut:
        """One command."""
        with database.read() as session:
            return _command(_found(session, identifier))

    @routes.get("/api/commands/{identifier}/nodes")
    def parts(
        identifier: int, state: str = "", after: str = "", limit: Limit = 100, lang: Lang = "en"
    ) -> list[PartOut]:
        """What became of a command at each node, by node id."""
        with database.read() as session:
            _found(session, identifier)
            found = command_lists.parts(session, identifier, state=state, after=after, limit=limit)
        return [PartOut(**one._asdict(), text=wording.part_text(one, lang)) for one in found]

    @routes.get("/api/groups")
    def groups_(after: str = "", limit: Limit = 100) -> list[GroupOut]:
        """Groups by name."""
        with database.read() as session:
            return [GroupOut(**one._asdict()) for one in groups.list_(session, after, limit)]

    @routes.get("/api/config/layers")
    def layers_(
        kind: Kind = "area", name: str = "", role: str = "", limit: Limit = 100
    ) -> list[LayerOut]:
        """What is wanted of whom, those behind (kind, name, role)."""
        with database.read() as session:
            after = Target(kind, name, role) if name else None
            found = layers.list_(session, after, limit)
        return [
            LayerOut(**one.target._asdict(), version=one.version, values=one.values)
            for one in found
        ]

    @routes.get("/api/config/drift")
    def drift_(
        area: str = "", role: str = "", after: str = "", limit: Limit = 100, lang: Lang = "en"
    ) -> list[DriftOut]:
        """Nodes that do not report what is wanted of them, by id."""
        with database.read() as session:
            found = drift.list_(session, area=area, role=role, after=after, limit=limit)
        return [
            DriftOut(
                node=one.node, role=one.role, area=one.area,
                number=one.newest.number if one.newest else None,
                state=one.newest.state if one.newest else drift.UNSAID,
                text=wording.newest_text(one.newest, lang), keys=one.differences,
            )
            for one in found
        ]  # fmt: skip

    @routes.get("/api/config/schema/{role}")
    def schema(role: str) -> list[SchemaOut]:
        """Every key of a role: type, bounds, default."""
        try:
            return [SchemaOut(**one._asdict()) for one in keys.of_role(role)]
        except ControlError as e:
            raise HTTPException(404, str(e)) from None

    @routes.get("/api/nodes/{node_id}/config")
    def node_config(node_id: str) -> list[KeyOut]:
        """Every key that is wanted of a node or reported by it."""
        with database.read() as session:
            try:
                return [KeyOut(**one._asdict()) for one in drift.keys_of(session, node_id)]
            except registry.RegistryError as e:
                raise HTTPException(404, str(e)) from None

    return routes


def _found(session: Any, identifier: int) -> command_lists.Listed:
    try:
        if not 0 < identifier < 1 << 31:
            raise ControlError("an identifier is 1 to 2147483647")
        return command_lists.show(session, identifier)
    except ControlError as e:
        raise HTTPException(404, str(e)) from None


def _command(one: command_lists.Listed) -> CommandOut:
    return CommandOut(**{**one._asdict(), "nodes": dict(one.nodes)})
