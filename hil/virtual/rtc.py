"""What a chip keeps through deep sleep and resets, and loses with its power."""

from collections.abc import Callable

_EPOCH_2000_US = 946_684_800_000_000
EXT0, EXT1, GPIO = 0, 1, 2
# machine.wake_reason() of each source (esp_sleep_wakeup_cause_t).
EXT0_WAKE, EXT1_WAKE, TIMER_WAKE, ULP_WAKE, GPIO_WAKE = 2, 3, 4, 6, 7
_REASONS = {EXT0: EXT0_WAKE, EXT1: EXT1_WAKE, GPIO: GPIO_WAKE}


class RtcDomain:
    """RTC time as an offset of the board's time, RTC memory, and the sources that end a sleep."""

    def __init__(self, ext1_any_low: bool) -> None:
        self._ext1_any_low = ext1_any_low
        self.offset_us = 0
        self.memory = b""
        self._sources: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.ulp_may_wake = False
        self.ulp_called = False

    def power_on(self, now_us: int) -> None:
        """Cold: the clock reads 2000-01-01 00:00, the memory is empty."""
        self.offset_us = _EPOCH_2000_US - now_us
        self.memory = b""
        self.boot()

    def boot(self) -> None:
        """Every boot forgets the wake sources."""
        self._sources.clear()
        self.ulp_may_wake = self.ulp_called = False

    def wake_on(self, source: int, level: int, pins: tuple[int, ...]) -> None:
        """Set or, without pins, remove a source."""
        if pins:
            self._sources[source] = (level, pins)
        else:
            self._sources.pop(source, None)

    def woken_by(self, level_of: Callable[[int], int]) -> int | None:
        """The wake reason that the pins' levels give now, or None."""
        for source, (level, pins) in sorted(self._sources.items()):
            hits = [level_of(pin) == level for pin in pins]
            all_of = source == EXT1 and not level and not self._ext1_any_low
            if all(hits) if all_of else any(hits):
                return _REASONS[source]
        return ULP_WAKE if self.ulp_may_wake and self.ulp_called else None
