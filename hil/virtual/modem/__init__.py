"""The modem twin: a cellular modem on a virtual board's UART, with real sockets on loopback."""

from hil.virtual.modem.engine import ModemTwin
from hil.virtual.modem.network import Network, Stat
from hil.virtual.modem.state import State

__all__ = ["ModemTwin", "Network", "Stat", "State"]
