"""`socket.getaddrinfo`: it blocks, as on a chip; the twin asks its network."""

import _link
import _ops
from micropython import const

_EAI_FAIL = const(-202)  # lwIP
_WAIT_US = const(14_000_000)  # DNS_TMR_INTERVAL 1 s: tries after 1, 2, 3, 4 s (lwIP's dns.c)
_NAMES = const(255)


def _literal(host):
    parts = host.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    return [(2, type or 1, proto, host, (host if _literal(host) else _ask(host), port))]


def _ask(host):
    if _link.route is None:
        raise OSError(_EAI_FAIL)
    answers = []
    _link.nets[_NAMES] = answers.append
    try:
        _link.call(_ops.NET_RESOLVE, bytes((_link.route,)) + host.encode())
        until = _link.now() + _WAIT_US
        while not answers and _link.stamp() < until:
            _link.idle(until, _ops.WAKE_ON_RX)
    finally:
        del _link.nets[_NAMES]
    if not answers or not answers[0]:
        raise OSError(_EAI_FAIL)
    return answers[0].decode()
