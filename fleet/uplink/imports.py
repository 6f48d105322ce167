"""Records that come in by a technician's file: the same path as a report's, and so stored once."""

import time
from typing import NamedTuple

from fleet.flashing.journal import JournalContent
from fleet.telemetry.operations import LEGACY
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Message
from fleet.wire import compact

_RECORDS = 48  # of one report, as firmware/node/reports.py makes them
_BYTES = 4000  # of bodies: far below the longest report


class Imported(NamedTuple):
    """Records of the file, and how many messages of them were new, known or refused."""

    records: int
    stored: int
    repeated: int
    refused: int


def take_in(ingest: Ingest, node_id: str, journal: JournalContent) -> Imported:
    """Store what waits in a journal; done when this returns, and harmless to repeat.

    The node must be registered and active, as for a report. Records that no report can carry
    are refused with the up to 47 beside them, which the node itself would have sent so.
    """
    now = time.time_ns() // 1000
    sizes = dict.fromkeys(("stored", "repeated"), 0)
    refused = 0
    messages: list[Message] = []
    parts: list[list[tuple[int, bytes]]] = []
    for part in _parts(journal.records):
        payload = _encoded(journal.epoch, now // 1_000_000, part)
        if payload is None:
            refused += len(part)
        else:
            # LEGACY: no key of the node's vouches for what lay on a laptop.
            messages.append(Message(node_id, payload, now, trust=LEGACY))
            parts.append(part)
    kinds = [outcome.kind for outcome in ingest.process(messages)]
    for kind, part in zip(kinds, parts, strict=True):
        if kind in sizes:
            sizes[kind] += len(part)
        else:
            refused += len(part)
    return Imported(len(journal.records), sizes["stored"], sizes["repeated"], refused)


def _encoded(epoch: int, sent: int, part: list[tuple[int, bytes]]) -> bytes | None:
    try:
        return compact.encode(epoch, sent, part, {})
    except (ValueError, TypeError, IndexError, OverflowError):  # bodies that no node writes
        return None


def _parts(records: list[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
    parts: list[list[tuple[int, bytes]]] = []
    room = 0
    for record in records:
        if not parts or len(parts[-1]) >= _RECORDS or len(record[1]) > room:
            parts.append([])
            room = _BYTES
        parts[-1].append(record)
        room -= len(record[1])
    return parts
