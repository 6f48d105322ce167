"""`socket` of the virtual board: TCP beside a PPP link, once `network.PPP` has brought it up."""

import _rom
from micropython import const

_LAZY = const(0)
if _LAZY:  # for who reads: the VM takes them by __getattr__
    from _socket_getaddrinfo import getaddrinfo  # noqa: F401
    from _socket_socket import socket  # noqa: F401

AF_INET = 2
SOCK_STREAM = 1
SOCK_DGRAM = 2
IPPROTO_TCP = 6


def __getattr__(name):
    return _rom.load("socket", name)
