"""`network.PPP`: what lwIP does on a chip, in Python; LCP and IPCP are real bytes on the UART.

States and errors are those of the port's network_ppp; TCP goes beside the link (socket.py).
"""

import _link
import _ppplcp
import _pppnode
from micropython import const

_INACTIVE, _ACTIVE, _ERROR, _CONNECTING, _CONNECTED = 0, 1, 2, 3, 4
_POLL = const(3)  # ioctl
_POLL_IN = const(1)
_EPERM = const(1)
_EALREADY = const(114)
_ECONNABORTED = const(103)
_ABORTED = const(1 | 8 | 16)  # POLL_IN, POLL_ERR, POLL_HUP
_CHUNK = const(256)


class _Link(_pppnode.NodeLink):
    def __init__(self, ppp):
        self._ppp = ppp
        super().__init__(ppp._write, self._arm)

    def _arm(self, ms):
        _link.alarm = (_link.now() + ms * 1000, self.expired) if ms else None

    def on_up(self):
        self._ppp._set(_CONNECTED)

    def on_down(self):
        self._ppp._cut_off()

    def on_end(self, why):
        self._ppp._ended(why)


class PPP:
    SEC_NONE = AUTH_NONE = 0
    SEC_PAP = AUTH_PAP = 1
    SEC_CHAP = AUTH_CHAP = 2

    def __init__(self, stream):
        self._stream = None
        self._link = None
        self._state = _INACTIVE
        self._error = 0
        self._polling = False
        self._dns = None
        self.config(stream=stream)

    def active(self, *args, **kwargs):
        if args and args[0] and self._state == _INACTIVE:
            self._set(_ACTIVE)
        elif args and not args[0] and self._state != _INACTIVE:
            self._free()
        return self._state != _INACTIVE

    def connect(self, *, security=SEC_NONE, user=None, key=None):
        if self._state in (_CONNECTING, _CONNECTED):
            raise OSError(_EALREADY)
        if security not in (self.SEC_NONE, self.SEC_PAP, self.SEC_CHAP):
            raise ValueError("invalid auth")
        link = _Link(self)
        if security:
            link.security = security
            link.user, link.key = user.encode(), key.encode()
        self._link = link
        self._set(_CONNECTING)
        self._listen()
        link.start()
        self.poll()

    def disconnect(self):
        if self._state in (_CONNECTING, _CONNECTED):
            self._link.close()

    def isconnected(self):
        if self._state > _ERROR:
            _link.idle(_link.stamp())  # a loop that only asks this lets interrupts happen
        return self._state == _CONNECTED

    def status(self):
        self.isconnected()
        return -self._error if self._state == _ERROR else self._state

    def config(self, *args, **kwargs):
        if args and kwargs:
            raise TypeError("either pos or kw args are allowed")
        if kwargs:
            if "stream" in kwargs:
                self._take(kwargs["stream"])
            return None
        if len(args) != 1:
            raise TypeError("can query only one param")
        if args[0] != "stream":
            raise ValueError("unknown config param")
        return self._stream

    def poll(self, irq_arg=None):
        if self._state <= _ERROR:
            return -_EPERM
        if self._polling:  # by an interrupt while it reads: whoever reads goes on
            return 0
        total = 0
        self._polling = True
        try:
            while self._stream is not None and self._state > _ERROR:
                if not self._stream.ioctl(_POLL, _POLL_IN) & _POLL_IN:
                    break
                data = self._stream.read(min(_CHUNK, self._stream.any()))
                if not data:
                    break
                total += len(data)
                self._link.feed(data)
        finally:
            self._polling = False
        return total

    def ifconfig(self, configtuple=None):
        if configtuple is not None:
            self._dns = configtuple[3]
            return None
        if self._link is None:
            return (None, None, None, None)
        mask = "255.255.255.255"  # the link has one other end, and no network
        # In this order, the gateway second: ports/esp32/network_ppp.c.
        return (self._address("mine"), self._address("theirs"), mask, self._server())

    def ipconfig(self, param):
        if self._link is None:
            raise ValueError("PPP not active")
        if param == "addr4":
            return (self._address("mine"), "255.255.255.255")
        if param == "gw4":
            return self._address("theirs")
        raise ValueError("unexpected key")

    def _address(self, which):
        up = self._state == _CONNECTED
        return "%d.%d.%d.%d" % tuple(getattr(self._link.ipcp, which) if up else bytes(4))

    def _server(self):
        servers = self._link.ipcp.servers if self._state == _CONNECTED else []
        return self._dns or "%d.%d.%d.%d" % tuple(servers[0] if servers else bytes(4))

    def _set(self, state):
        self._state = state
        if state == _CONNECTED:
            _link.route = getattr(self._stream, "_id", None)

    def _write(self, data):
        if self._stream is not None:
            self._stream.write(data)

    def _take(self, stream):
        if stream is not None and not (hasattr(stream, "read") and hasattr(stream, "write")):
            raise OSError("stream operation not supported")
        if self._state != _INACTIVE and self._stream is not None:
            self._stream.irq(None)
        self._stream = stream
        self._listen()

    def _listen(self):
        if self._state != _INACTIVE and self._stream is not None:
            self._stream.irq(self.poll, self._stream.IRQ_RXIDLE)

    def _cut_off(self):
        # lwIP aborts the connections of an address that is gone.
        _link.route = None
        for lost in list(_link.nets.values()):
            lost(bytes((_ABORTED, _ECONNABORTED, 0)))

    def _ended(self, why):
        if why == _ppplcp.USER:
            self._free()
        else:
            self._error = why
            self._set(_ERROR)

    def _free(self):
        if self._state > _ERROR:
            self._cut_off()
        if self._stream is not None:
            self._stream.irq(None)
        _link.alarm = None
        self._link = None
        self._set(_INACTIVE)
