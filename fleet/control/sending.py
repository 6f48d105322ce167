"""Patches for nodes on their way into line: what was in no answer yet is taken into the next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from fleet.control.configuration import MAX_PATCH
from fleet.control.operations import CONFIG, enqueue_many
from fleet.control.stack import Node
from fleet.control.tables import Downlink
from fleet.registry.operations import now_us
from fleet.wire import cbor


@dataclass
class State:
    """A node on its way into line: what is wanted, what was sent, and what is to be sent now."""

    node: Node
    values: dict[str, Any]
    sent: dict[str, Any]
    waiting: list[int]
    patch: dict[str, Any]


def send(session: Session, states: Sequence[State]) -> int:
    """Queue their patches, each with what of the earlier ones was in no answer yet."""
    if not states:
        return 0
    unsent = _unsent(session, states)
    parts = {
        state.node.id: [
            cbor.encode(part)
            for part in _parts({**_merged(unsent.get(state.node.id, [])), **state.patch})
        ]
        for state in states
    }
    spared = {node_id: len(items) for node_id, items in unsent.items()}
    # A node whose queue is full is left out, and tried again when it has taken something.
    numbers = enqueue_many(session, CONFIG, parts, spared=spared)
    back = [(node_id, n) for node_id in numbers for n, _payload in unsent.get(node_id, [])]
    if back:
        session.execute(
            update(Downlink)
            .where(tuple_(Downlink.node_id, Downlink.number).in_(back))
            .values(expires_us=now_us())
            .execution_options(synchronize_session=False)
        )
    for state in states:
        if state.node.id in numbers:
            state.sent = {**state.sent, **state.patch}
            state.waiting = numbers[state.node.id]
    return len(numbers)


def _unsent(session: Session, states: Sequence[State]) -> dict[str, list[tuple[int, bytes]]]:
    """Of each node its patches that were in no answer yet, by number."""
    keys = [(state.node.id, number) for state in states for number in state.waiting]
    found: dict[str, list[tuple[int, bytes]]] = {}
    if keys:
        rows = session.execute(
            select(Downlink.node_id, Downlink.number, Downlink.payload)
            .where(
                tuple_(Downlink.node_id, Downlink.number).in_(keys),
                Downlink.handed_us.is_(None),
                Downlink.settled_us.is_(None),
                Downlink.expires_us.is_(None),
            )
            .order_by(Downlink.node_id, Downlink.number)
            .with_for_update()
        )
        for node_id, number, payload in rows:
            found.setdefault(node_id, []).append((number, payload))
    return found


def _merged(items: Sequence[tuple[int, bytes]]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for _number, payload in items:
        content = cbor.decode(payload)
        if isinstance(content, dict):
            patch.update({str(key): value for key, value in content.items()})
    return patch


def written(sent: Mapping[str, Any]) -> str:
    return json.dumps(sent, ensure_ascii=False, sort_keys=True)


def _parts(patch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In as many patches as fit into receipts, by key."""
    parts: list[dict[str, Any]] = [{}]
    for key in sorted(patch):
        longer = {**parts[-1], key: patch[key]}
        if parts[-1] and len(cbor.encode(longer)) > MAX_PATCH:
            parts.append({})
            longer = {key: patch[key]}
        parts[-1] = longer
    return parts
