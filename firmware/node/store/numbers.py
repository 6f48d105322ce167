"""The OSCORE sender sequence: no number is ever given twice for a kid, whatever power does.

NVS has, by kid, the number below which all may have been used; it is written before the first of
the next 64 is. RTC memory has the same more closely, in steps of 8, so that a wake goes on where
the last one ended. A step that was begun and not settled is never given again.
"""

from micropython import const

from node.errors import OscoreError

_NVS_STEP = const(64)  # numbers lost at most when RTC memory is; flash wears by one write of each
_RTC_STEP = const(8)  # numbers lost at most when a contact crashes
_LIMIT = const((1 << 31) - 1)  # what an i32 of NVS can say
_KEY = "piv"  # of RTC memory: [kid, number below which all may have been used]
_NOT_FOUND = const(-0x1102)  # ESP_ERR_NVS_NOT_FOUND


class Numbers:
    """`state` (get, set, save: RtcState), `nvs` (esp32.NVS of "kapok"), `kid` of 1 to 7 bytes."""

    def __init__(self, state, nvs, kid: bytes) -> None:
        self._state = state
        self._nvs = nvs
        self._kid = kid
        self._name = "q" + kid.hex()
        self._next = 0
        self._end = 0  # below it: saved as used

    def next(self) -> int:
        """A number below 2^31 - 1 that was never given; OscoreError when there is none."""
        if self._next == self._end:
            self._reserve()
        number = self._next
        self._next = number + 1
        return number

    def settle(self) -> None:
        """The contact is over: the next one goes on here instead of at the next step."""
        held = self._held()
        if held is not None and held == self._end:
            self._save(self._next)
            self._end = self._next

    def _reserve(self) -> None:
        limit = self._limit()
        held = self._held()
        first = limit if held is None else held
        if first >= _LIMIT:
            raise OscoreError("the sender sequence is used up: rotate the key of this node")
        try:
            if first >= limit:
                limit = min(first + _NVS_STEP, _LIMIT)
                self._nvs.set_i32(self._name, limit)
            self._nvs.commit()  # always: what was read may be what an earlier commit refused
        except OSError as e:
            raise OscoreError("NVS does not keep the sender sequence: %s" % e)
        end = min(first + _RTC_STEP, limit)
        self._save(end)
        self._next = first
        self._end = end

    def _limit(self) -> int:
        try:
            return self._nvs.get_i32(self._name)
        except OSError as e:
            if e.args[0] == _NOT_FOUND:
                return 0  # a key that was never used
            raise OscoreError("NVS does not tell the sender sequence: %s" % e)

    def _held(self) -> "int | None":
        # What RTC memory says of this kid. It outlives resets and deep sleep, not the power.
        held = self._state.get(_KEY)
        if isinstance(held, list) and len(held) == 2 and held[0] == self._kid:
            return held[1]
        return None

    def _save(self, end: int) -> None:
        before = self._state.get(_KEY)
        self._state.set(_KEY, [self._kid, end])
        try:
            self._state.save()
        except ValueError as e:
            self._state.set(_KEY, before)
            raise OscoreError("RTC memory does not keep the sender sequence: %s" % e)
