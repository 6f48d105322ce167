"""Events: what begins and ends, each recorded once when it does, the grave ones reported at once.

Which events are on is in RTC memory, and for when power is lost in NVS.
"""

import esp32
from micropython import const

from node.config import NAMESPACE
from node.errors import JournalError
from node.wire import cbor, uplink

_EVENT = const(1000)  # wire/quantity.py: the quantity of event n is 1000 + n
_ALARM = const(2)  # store/journal.py: goes last where there is no room
_MOST = const(256)  # bytes in NVS


class Events:
    """The events of one role; `state` is the node's RtcState, `journal()` its journal."""

    def __init__(self, state, journal) -> None:
        self._state = state
        self._journal = journal
        if state.get("events") is None:
            _load(state)
        self.again = 0

    def on(self, code: int) -> bool:
        """Whether event `code` (wire/quantity.py) has begun and not ended."""
        return code in self._state.get("events", ())

    def begin(self, code: int, now: int, quality: int, values=(), urgent: bool = True) -> bool:
        """Record that it began, with what was measured, [(quantity, value), ...]; whether it is
        new. `urgent`: the node makes contact in this very wake, not at its next report.
        """
        if self.on(code):
            return False
        return self._note(code, 1, now, quality, values, urgent)

    def end(self, code: int, now: int, quality: int, values=(), urgent: bool = False) -> bool:
        """Record that it ended; False when it was not on."""
        if not self.on(code):
            return False
        return self._note(code, 0, now, quality, values, urgent)

    def watch(
        self,
        code: int,
        beyond: bool,
        back: bool,
        hold_s: int,
        now: int,
        quality: int,
        values=(),
        back_s: int = 0,
    ) -> bool:
        """Begin once `beyond` has held for `hold_s`, end once it has been `back` for `back_s`:
        between the two lies the hysteresis. Whether it is on. `again`: when a time runs out.
        """
        since = self._state.get("since", {})
        on = self.on(code)
        if on:
            beyond, hold_s = back, back_s
        if not beyond:
            since.pop(code, None)
        elif hold_s and now - since.setdefault(code, now) < hold_s:
            until = since[code] + hold_s
            self.again = min(self.again or until, until)
        else:
            since.pop(code, None)
            self._note(code, int(not on), now, quality, values, not on)
        self._state.set("since", since)
        return self.on(code)

    def _note(self, code: int, value: int, now: int, quality: int, values, urgent: bool) -> bool:
        # The record first: what could not be kept is tried again at the next look.
        body = uplink.encode_body(now, quality, [(_EVENT + code, value)] + list(values))
        try:
            self._journal().append(body, _ALARM)
        except JournalError as e:
            self._state.set("error", e.code)
            return False
        on = [other for other in self._state.get("events", ()) if other != code]
        if value:
            on.append(code)
        self._state.set("events", on)
        self._state.set("evd", 1)
        if urgent and not self._state.get("urgent"):  # 2 there is more urgent still
            self._state.set("urgent", 1)
        return True


def keep(state) -> None:
    """Write to NVS what is on, at the end of a wake that changed it (state "evd").

    Not sooner: a danger that is on already closes no valve, and power may fail before it is shut.
    """
    state.set("evd", 0)
    nvs = esp32.NVS(NAMESPACE)
    try:
        nvs.set_blob("evt", cbor.encode([state.get("events", []), state.get("hush", [])]))
        nvs.commit()
    except OSError:
        pass  # NVS is full: what is on begins anew when power was lost


def _load(state) -> None:
    # Power was lost, or nothing has ever happened.
    on, hush = [], []
    buffer = bytearray(_MOST)
    try:
        length = esp32.NVS(NAMESPACE).get_blob("evt", buffer)
        on, hush = cbor.decode(bytes(memoryview(buffer)[:length]))  # type: ignore[misc]
    except (OSError, ValueError, TypeError):
        pass
    state.set("events", on)
    if hush:
        state.set("hush", hush)
