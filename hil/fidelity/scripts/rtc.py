"""`machine.RTC`: its clock and its memory."""

from machine import RTC

rtc = RTC()


def kept(data):
    rtc.memory(data)
    return rtc.memory()


def read_back(setter, values):
    setter(values)
    return rtc.datetime()[:7]


fact("rtc.no-arguments", lambda: refused(lambda: RTC(0)))
fact("rtc.one-object", lambda: RTC() is rtc)
fact("rtc.memory-most", lambda: len(kept(bytes(2048))))
fact("rtc.memory-too-long", lambda: rtc.memory(bytes(2049)))
fact("rtc.memory-unharmed", lambda: len(rtc.memory()))
fact("rtc.memory-set", lambda: rtc.memory(b"x"))
fact("rtc.memory-type", lambda: kept(bytearray(b"\x00\xff")))
fact("rtc.memory-view", lambda: kept(memoryview(b"abc")[1:]))
fact("rtc.memory-empty", lambda: kept(b""))
fact("rtc.datetime-set", lambda: rtc.datetime((2026, 1, 2, 0, 3, 4, 5, 0)))
fact("rtc.weekday-computed", lambda: read_back(rtc.datetime, (2026, 1, 2, 0, 3, 4, 5, 0)))
fact("rtc.microseconds", lambda: 0 <= rtc.datetime()[7] < 10**6 and len(rtc.datetime()))
fact("rtc.init-order", lambda: read_back(rtc.init, (2026, 1, 2, 3, 4, 5, 0, 0)))
fact("rtc.datetime-short", lambda: rtc.datetime((2026, 1, 2, 0, 3, 4, 5)))
fact("rtc.names", lambda: missing(RTC, "init datetime memory"))
