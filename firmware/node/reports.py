"""What a contact is to say: reports of the oldest records, with a status when that is worth its
bytes. Loaded before the link, and gone when it is opened.
"""

import sys

import machine
from micropython import const

from node import clock
from node.modules import forget
from node.wire import cbor, compact, receipt, uplink

_REPORT_BYTES = const(900)  # of bodies: one report fits one send of every modem, TLS included
_REPORT_RECORDS = const(48)
_REPORTS = const(2)  # made before the door opens: the journal and TLS do not fit side by side
_ACCEPTED = const(1)  # wire/release.py
_MARK = const(0xFFF)
_STATUS_S = const(84_600)  # a day, and room for a report that comes a little early


def make(journal, state, standing: "list[int]", ledger_s: int = 0) -> "tuple[list, list | None]":
    """Reports, each as (its bytes, the receipt that covers all of it), and what the status of the
    first one tells, None where it has none: for `state` under "told", once there is a receipt.
    With nothing in the journal a status that is due goes alone.

    `standing` is downlink.standing(), `ledger_s` how often the energy ledger is told, 0: never.
    """
    _tell(journal, state, ledger_s)
    rest = journal.oldest(_REPORTS * _REPORT_BYTES, _REPORTS * _REPORT_RECORDS)
    status, telling = _status(journal, state, standing)
    reports: list = []
    while rest and len(reports) < _REPORTS:
        n = size = 0
        ranges: list = []
        while n < len(rest) and n < _REPORT_RECORDS:
            size += len(rest[n][1])
            if size > _REPORT_BYTES:
                break
            sequence = rest[n][0]
            if ranges and ranges[-1][1] == sequence - 1:
                ranges[-1] = (ranges[-1][0], sequence)
            else:
                ranges.append((sequence, sequence))
            n += 1
        report = compact.encode(journal.epoch, clock.now(), rest[:n], status)
        reports.append((report, receipt.encode(journal.epoch, ranges)))
        status = {}
        rest = rest[n:]
    if status and not reports:
        report = compact.encode(journal.epoch, clock.now(), [], status)
        reports.append((report, receipt.encode(journal.epoch, [])))
    return reports, telling


def _tell(journal, state, ledger_s: int) -> None:
    # A record of the node's own, where there is one to tell.
    now = clock.now()
    if state.get("day") is None:
        state.set("day", now)  # of a ledger that has just begun
    # The reports of two days may lie a little less than a day apart.
    daily = ledger_s > 0 and now - state.get("day") >= ledger_s - ledger_s // 48
    if daily or state.get("crash") or state.get("new"):
        from node import health

        health.tell(journal, state, now, daily)
        forget("node.health node.log node.events")


def _status(journal, state, standing: "list[int]") -> "tuple[dict[int, int], list | None]":
    # Empty where the fleet has heard all that is news in it, within the last day.
    status = {
        uplink.DROPPED: sum(journal.dropped.values()),
        uplink.FAILED_WAKES: state.get("failed", 0),
        uplink.CORRUPT: journal.corrupt,
    }
    failed = [state.get("error", 0), state.get("cause", 0)]
    failed += state.get("rungs", ())
    for first, values in ((uplink.ERROR, failed), (uplink.APPLIED, standing)):
        for key, value in enumerate(values, first):
            if value:
                status[key] = value
    now = clock.now()
    _release(status)
    stage = mark = 0
    update = state.get("upd")
    if update:
        stage, mark = update[0], update[1]
    if stage > _ACCEPTED:  # that it was accepted its number says
        status[uplink.STAGE] = stage
        status[uplink.MARK] = mark & ~_MARK  # news every now and then
    news = cbor.encode(status)
    told = state.get("told")
    if not state.get("clock_sure"):
        status[uplink.ASKS_TIME] = 1
    elif told and told[1] == news and 0 <= now - told[0] < _STATUS_S:
        return {}, None
    if told and told[1] == news:  # the day's own: what runs the fleet has heard, 12 octets
        for key in (uplink.RUNTIME, uplink.IMAGE, uplink.RELEASE):
            status.pop(key, None)
    for key, value in ((uplink.STAGE, stage), (uplink.MARK, mark)):
        if value:
            status[key] = value
    status[uplink.DEPTH] = journal.depth
    status[uplink.RESET_CAUSE] = state.get("why") or machine.reset_cause()
    status[uplink.WAKES] = state.get("wakes", 0)
    return status, [now, news]


def _release(status: "dict[int, int]") -> None:
    # What runs.
    version = sys.implementation.version
    status[uplink.RUNTIME] = version[0] << 16 | version[1] << 8 | version[2]
    try:
        with open(sys.path[0] + "/digest", "rb") as file:
            status[uplink.IMAGE] = int.from_bytes(file.read(4), "big")
        with open(sys.path[0] + "/release", "rb") as file:
            sequence = cbor.decode(file.read())[0]  # type: ignore[index]
            if sequence:  # 0: of a development build
                status[uplink.RELEASE] = sequence
    except (OSError, cbor.CborError):
        pass  # an image that tells none
