"""`socket`, `errno` and `network.PPP` on a node that has no connection."""

import errno
import socket

import network
from machine import UART

ppp = network.PPP(UART(1, 115200, tx=17, rx=17))
held = []


def most():
    for _ in range(11):
        held.append(socket.socket())


fact("net.constants", lambda: (socket.AF_INET, socket.SOCK_STREAM, socket.SOCK_DGRAM,
     socket.IPPROTO_TCP))  # fmt: skip
fact("net.errno-low", lambda: (errno.EPERM, errno.ENOENT, errno.EIO, errno.EAGAIN, errno.ENODEV,
     errno.EINVAL))  # fmt: skip
fact("net.errno-net", lambda: (errno.ECONNABORTED, errno.ENOTCONN, errno.ETIMEDOUT,
     errno.EHOSTUNREACH, errno.EALREADY, errno.EINPROGRESS))  # fmt: skip
fact("net.errno-same", lambda: (errno.ECONNRESET, errno.ECONNREFUSED, errno.EOPNOTSUPP))
fact("net.literal", lambda: socket.getaddrinfo("10.1.2.3", 8883))
fact("net.no-resolver", lambda: socket.getaddrinfo("example.org", 80))
fact("net.unconnected", lambda: refused(lambda: socket.socket().recv(1)))
fact("net.unconnected-errno", lambda: socket.socket().recv(1))
fact("net.no-route", lambda: socket.socket().connect(("10.1.2.3", 80)))
fact("net.udp", lambda: refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
fact("net.timeout", lambda: socket.socket().settimeout(1.5))
fact("net.blocking", lambda: socket.socket().setblocking(False))
fact("net.most", lambda: refused(most))
for each in held:
    each.close()
fact("net.ppp-security", lambda: (ppp.SEC_NONE, ppp.SEC_PAP, ppp.SEC_CHAP))
fact("net.ppp-no-stream", lambda: network.PPP(5))
fact("net.ppp-down", lambda: (ppp.isconnected(), ppp.status(), ppp.poll()))
fact("net.ppp-no-address", lambda: ppp.ifconfig())
fact("net.ppp-no-ipconfig", lambda: ppp.ipconfig("addr4"))
fact("net.ppp-config", lambda: ppp.config("nothing"))
fact("net.ppp-security-invalid", lambda: ppp.connect(security=99))
fact("net.hostname", lambda: network.hostname())
fact("net.hostname-long", lambda: network.hostname("n" * 33))
fact("net.country", lambda: network.country())
fact("net.names", lambda: missing(socket.socket, "close bind listen accept connect send sendall "
     "sendto recv recvfrom setsockopt settimeout setblocking makefile fileno read readinto "
     "readline write"))  # fmt: skip
