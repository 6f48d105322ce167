"""`network` of the virtual board: it has no radio of its own, all traffic goes over the modem."""

import _rom
from micropython import const

_LAZY = const(0)
if _LAZY:  # for who reads: the VM takes them by __getattr__
    from _network_more import country, hostname  # noqa: F401
    from _network_ppp import PPP  # noqa: F401


def __getattr__(name):
    return _rom.load("network", name)
