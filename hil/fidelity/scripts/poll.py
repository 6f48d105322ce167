"""`select`: poll objects, with and without streams."""

import select
import time

from machine import UART

uart = UART(1, 115200, tx=17, rx=17)
p = select.poll()


def waited(ms):
    before = time.ticks_ms()
    return p.poll(ms), ms <= time.ticks_diff(time.ticks_ms(), before) < ms + 40


fact("poll.constants", lambda: (select.POLLIN, select.POLLOUT, select.POLLERR, select.POLLHUP))
fact("poll.empty", lambda: p.poll(0))
fact("poll.empty-waits", lambda: waited(30))
fact("poll.no-stream", lambda: p.register(object()))
fact("poll.register", lambda: p.register(uart, select.POLLIN))
fact("poll.silent", lambda: waited(30))
fact("poll.modify", lambda: p.modify(uart, select.POLLOUT))
fact("poll.writable", lambda: [(stream is uart, flags) for stream, flags in p.poll(100)])
fact("poll.ipoll", lambda: [flags for _, flags in p.ipoll(0)])
fact("poll.unregister", lambda: p.unregister(uart))
fact("poll.unregister-again", lambda: p.unregister(uart))
fact("poll.modify-unknown", lambda: p.modify(uart, select.POLLIN))
fact("poll.names", lambda: missing(select, "select poll"))
