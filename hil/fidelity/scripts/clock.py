"""`time`: epoch, ticks, sleeping."""

import time


def slept(pause, how_long):
    before = time.ticks_ms()
    pause(how_long)
    return 50 <= time.ticks_diff(time.ticks_ms(), before) < 90


_LAST = 2**30 - 1

fact("clock.epoch", lambda: time.gmtime(0))
fact("clock.mktime-epoch", lambda: time.mktime((2000, 1, 1, 0, 0, 0, 0, 0)))
fact("clock.mktime-nine", lambda: time.mktime((2026, 2, 30, 0, 0, 0, 0, 0, 0)))
fact("clock.mktime-short", lambda: time.mktime((2000, 1, 1, 0, 0, 0, 0)))
fact("clock.whole-seconds", lambda: type(time.time()))
fact("clock.ns-same-epoch", lambda: abs(time.time_ns() // 10**9 - time.time()) <= 1)
fact("clock.no-time-zone", lambda: time.localtime(86400) == time.gmtime(86400))
fact("clock.ticks-wrap", lambda: time.ticks_add(_LAST, 1))
fact("clock.ticks-over-wrap", lambda: time.ticks_diff(0, _LAST))
fact("clock.ticks-half", lambda: time.ticks_diff(2**29, 0))
fact("clock.ticks-too-far", lambda: time.ticks_add(0, 2**29))
fact("clock.ticks-below", lambda: time.ticks_add(0, -(2**29)))
fact("clock.ticks-range", lambda: 0 <= time.ticks_ms() <= _LAST and 0 <= time.ticks_us() <= _LAST)
fact("clock.sleep-ms", lambda: slept(time.sleep_ms, 50))
fact("clock.sleep-us", lambda: slept(time.sleep_us, 50000))
fact("clock.sleep-fraction", lambda: slept(time.sleep, 0.05))
fact("clock.sleep-negative", lambda: time.sleep_us(-5))
fact("clock.names", lambda: missing(time, "gmtime localtime mktime time time_ns sleep sleep_ms "
     "sleep_us ticks_ms ticks_us ticks_cpu ticks_add ticks_diff"))  # fmt: skip
