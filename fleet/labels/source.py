"""Whom to print labels for: nodes of the fleet's database, or of a file without it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet.labels.layout import LabelNode
from fleet.registry.labels import parse
from fleet.registry.operations import RegistryError, check_node_id, now_us, show_node
from fleet.registry.tables import Terminal

MOST = 2000  # labels of one command
MAX_BYTES = 4_000_000  # of a file of results
_ROLES = {"node_type": "role", "node": "node_id", "id": "node_id"}  # names that results also use


def of_ids(session: Session, node_ids: Sequence[str]) -> list[LabelNode]:
    """These nodes, each once, in their order; RegistryError when one is not registered."""
    return [_label(_row(session, node_id)) for node_id in dict.fromkeys(node_ids)]


def of_area(session: Session, area: str, *, new: bool) -> list[LabelNode]:
    """Nodes whose area code begins so, by node id; `new`: those that have no label yet."""
    query = select(Terminal).where(Terminal.kind == "node", Terminal.state != "revoked")
    if area:
        query = query.where(Terminal.area_code.startswith(area, autoescape=True))
    if new:
        query = query.where(Terminal.labelled_us.is_(None))
    rows = list(session.scalars(query.order_by(Terminal.id).limit(MOST + 1)))
    if len(rows) > MOST:
        raise RegistryError(f"over {MOST} nodes: name a smaller area")
    return [_label(row) for row in rows]


def note_labelled(session: Session, nodes: Sequence[LabelNode]) -> None:
    """They have labels now; --all-new leaves them out."""
    session.execute(
        update(Terminal)
        .where(Terminal.id.in_([node.node_id for node in nodes]))
        .values(labelled_us=now_us())
    )


def of_file(path: Path) -> list[LabelNode]:
    """Nodes of a JSON file: a list of objects, also under "nodes" or "boards", or one a line.

    Of each: node_id (or id, node), role (or node_type), area, imei, iccid, all texts; more keys
    are passed over. An object without a node id is a board that failed: it gets no label.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise RegistryError(f"{path} is over {MAX_BYTES} bytes: not a file of results")
    nodes: dict[str, LabelNode] = {}
    for number, one in enumerate(_objects(path, raw), 1):
        node = _of_object(f"{path}: object {number}", one)
        if node is not None:
            nodes[node.node_id] = node
    if not nodes:
        raise RegistryError(f"{path} names no nodes: the JSON that kapok provision --json prints")
    if len(nodes) > MOST:
        raise RegistryError(f"{path} has over {MOST} nodes")
    return list(nodes.values())


def _objects(path: Path, raw: bytes) -> list[Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        try:
            return [json.loads(line) for line in raw.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise RegistryError(f"{path} is no JSON") from None
    if isinstance(found, dict):
        found = found.get("nodes") or found.get("boards") or [found]
    return found if isinstance(found, list) else []


def _of_object(where: str, one: Any) -> LabelNode | None:
    if not isinstance(one, dict):
        raise RegistryError(f"{where} is no object")
    values = {_ROLES.get(key, key): value for key, value in one.items()}
    values.update({key: one[key] for key in ("node_id", "role") if one.get(key)})
    texts = {}
    for key in LabelNode._fields:
        value = values.get(key) or ""
        if not isinstance(value, str) or len(value) > 20 or not value.isascii():
            raise RegistryError(f"{where}: {key} is a text of 20 characters at most")
        if value and not value.isprintable():
            raise RegistryError(f"{where}: {key} has characters that do not print")
        texts[key] = value
    if not texts["node_id"]:
        return None
    try:
        check_node_id(texts["node_id"])
        parse(LabelNode(**texts).text.encode())  # what cannot be scanned in is not printed
    except RegistryError as e:
        raise RegistryError(f"{where}: {e}") from None
    return LabelNode(**texts)


def _row(session: Session, node_id: str) -> Terminal:
    show_node(session, node_id)
    return session.get_one(Terminal, node_id)


def _label(row: Terminal) -> LabelNode:
    return LabelNode(row.id, row.role, row.area_code, row.imei or "", row.iccid or "")
