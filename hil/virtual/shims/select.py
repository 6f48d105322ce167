"""`select` whose poll idles on the board: asyncio waits here for UART bytes and timers."""

import _link
import _ops
from micropython import const

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_IOCTL_POLL = const(3)


class poll:
    def __init__(self):
        self._streams = {}

    def register(self, obj, eventmask=POLLIN | POLLOUT):
        if not hasattr(obj, "ioctl"):
            raise OSError("stream operation not supported")
        self._streams[id(obj)] = [obj, eventmask]

    def unregister(self, obj):
        self._streams.pop(id(obj), None)

    def modify(self, obj, eventmask):
        if id(obj) not in self._streams:
            raise OSError(2)
        self._streams[id(obj)][1] = eventmask

    def _ready(self):
        found = []
        for obj, mask in self._streams.values():
            flags = obj.ioctl(_IOCTL_POLL, mask | POLLERR | POLLHUP)
            if flags > 0:
                found.append((obj, flags))
        return found

    def poll(self, timeout=-1):
        ms = -1 if timeout is None or timeout < 0 else int(timeout)
        streams = self._streams
        if ms == 0:
            if not streams:
                return []
            found = self._ready()
            if not found and _link.stale():
                _link.idle(_link.stamp(), _ops.WAKE_ON_RX)
                found = self._ready()
            return found
        until = -1
        if ms > 0:  # on the same millisecond grid as the ticks, so that no timer fires early
            at = _link.now()
            until = at - (at - _link.boot_us) % 1000 + ms * 1000
        flags = _ops.WAKE_ON_RX if streams else 0
        while True:
            found = self._ready()
            if found or (ms > 0 and _link.stamp() >= until):
                return found
            _link.idle(until, flags)
            if not flags and _link.edges and not (ms > 0 and _link.stamp() >= until):
                return []  # a pin's handler may have made a task ready

    def ipoll(self, timeout=-1, flags=0):
        return iter(self.poll(timeout))
