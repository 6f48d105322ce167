"""`network` of the virtual board: it has no radio of its own, all traffic goes over the modem."""

import _rom
from micropython import const

_LAZY = const(0)
if _LAZY:  # for who reads: the VM takes it by __getattr__
    from _network_ppp import PPP  # noqa: F401

_name = "mpy-esp32"
_country = "XX"


def __getattr__(name):
    return _rom.load("network", name)


def hostname(name=None):
    global _name  # noqa: PLW0603
    if name is None:
        return _name
    if len(name) > 32:
        raise ValueError("hostname is longer than 32")
    _name = name
    return None


def country(code=None):
    global _country  # noqa: PLW0603
    if code is None:
        return _country
    if len(code) != 2:
        raise ValueError("country is two letters")
    _country = code
    return None
