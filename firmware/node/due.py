"""When a node makes contact: what is due, what is urgent, and what must wait."""

import binascii

import machine
from micropython import const

from node import clock
from node.errors import JournalError, NodeError

_BUTTON = machine.EXT1_WAKE  # somebody stands at the node and wants it to report now
_CRASHES = const(3)  # so many lives in a row that ended before their sleep
_BACKLOG = const(100)  # contacts at once for one alarm: a full journal takes 70
_SOON_S = const(3600)  # within so long a node reports that has enough to report
_MOST = const(6)  # contacts for events and for the button in an hour
_AT_ONCE = const(2)  # of RTC `urgent`: somebody waits for it, or a valve closes; 1: an event


class Due:
    """The half of a cycle that looks at the time. `voucher` is a claim id: the next contact asks
    for an identity first.
    """

    def __init__(self, values: dict, state, journal, role, voucher) -> None:
        self._config = values
        self._state = state
        self._journal = journal
        self._role = role
        self._voucher = voucher
        # What runs has still to be confirmed: the application or the runtime.
        self.on_trial = False
        # This node's own place in every period: else a city reports at the full hour, and a cell
        # has some thousands of terminals.
        self._place = binascii.crc32(values["node"].encode())

    def next_wake(self) -> "int | None":
        """When the node must be awake again, in s since 1970; None: only for its sensor."""
        due = self._role.due(clock.now())
        # A report has a wake of its own: it costs a boot, but those that sense do so at the full
        # hour, all of a city at once.
        contact = None
        retry = self._state.get("retry", 0)
        if self._depth() or self._voucher:
            contact = max(self._state.get("next_report", 0), retry)
        urgent = self._state.get("urgent")
        if urgent:
            barred = self._barred() if urgent != _AT_ONCE else 0
            soon = max(clock.now(), retry, barred)
            contact = soon if contact is None else min(contact, soon)
        held = self._state.get("upd")
        if held and held[0] and not self.on_trial:
            soon = max(held[2], retry)
            contact = soon if contact is None else min(contact, soon)
        if contact is not None:
            due = contact if due is None else min(due, contact)
        return due

    def _contact_due(self, reason: int) -> bool:
        now = clock.now()
        retry = self._state.get("retry", 0)
        # A second time in a row a button may be stuck, or be a dip of the supply.
        again = self._state.get("btn") and now < max(retry, self._barred())
        if not again and (reason == _BUTTON or not clock.is_set()):
            return True
        if now < retry:
            return False
        crashes = self._state.get("crn", 0)
        urgent = self._state.get("urgent")
        if urgent and (urgent == _AT_ONCE or now >= self._barred()):
            return True
        if self._voucher or crashes == _CRASHES or self._fetches():
            return True
        depth = self._depth() or crashes
        due = self._state.get("next_report", 0)
        if depth >= self._config["report_records"]:
            soon = self._own(now, min(_SOON_S, self._config["report_s"] // 8))
            if soon < due:
                due = soon
                self._state.set("next_report", due)
        return bool(depth and now >= due)

    def _barred(self) -> int:
        # Until when events and the button have no contact of their own: `urg` has since when they
        # had how many. Reports go on.
        since, count = self._state.get("urg", (0, 0))
        return since + _SOON_S if count >= _MOST and since <= clock.now() else 0

    def _own(self, now: int, period: int) -> int:
        # The next moment behind `now` that is this node's own in `period` seconds.
        return now + period - (now - self._place) % period

    def _fetches(self) -> bool:
        # An update waits for this contact (node.update).
        held = self._state.get("upd")
        return bool(held and held[0] and not self.on_trial and clock.now() >= held[2])

    def _contacted(self, before: int = 0) -> None:
        # `before`: the journal's depth, receipts aside.
        self._state.set("fails", 0)
        self._state.set("retry", 0)
        # A backlog goes first and keeps the alarm, the newest record, waiting: it stays urgent as
        # long as each contact brings it nearer, and counts them.
        left = self._depth()
        if left >= before:
            left = 0
        urgent, more = self._state.get("urgent", 0), self._state.get("more", 0)
        now = clock.now()
        if not more and (urgent == 1 or self._state.get("btn")):
            since, count = self._state.get("urg", (0, 0))
            if not 0 <= now - since < _SOON_S:
                since, count = now, 0
            self._state.set("urg", [since, count + 1])
        goes_on = urgent and left and more < _BACKLOG
        self._state.set("urgent", urgent if goes_on else 0)
        self._state.set("more", more + 1 if goes_on else 0)
        # What is left of a long silence goes at once. A moment that is near already is left out.
        if left < self._config["report_records"]:
            period = self._config["report_s"]
            now = self._own(now + period // 16, period)
        self._state.set("next_report", now)

    def _depth(self) -> int:
        # Of the journal; 1 where it cannot be opened: the fleet is to hear of that.
        try:
            return self._journal.depth
        except JournalError as e:
            self._failed(e)
        return 1

    def _failed(self, e: NodeError) -> None:
        self._state.set("error", e.code)
        self._state.set("cause", 0)
