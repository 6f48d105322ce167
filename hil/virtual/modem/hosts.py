"""Which hosts there are: names and addresses of this machine's loopback, and no others."""

import ipaddress
from collections.abc import Mapping
from enum import Enum


class Outage(Enum):
    """What is wrong with all of them: `refuse` is a server that does not run, `silent` one that
    answers nothing, `close` one that closes each connection as soon as it is there.
    """

    NONE = "none"
    REFUSE = "refuse"
    SILENT = "silent"
    CLOSE = "close"


class Unresolved(Exception):
    """The name is in nobody's table."""


class Hosts:
    """`resolve` maps host names to loopback addresses; the name "*" stands for every other one.

    `whitelist`: names and addresses that the operator lets through; None lets all through.
    ValueError for an address that is not a loopback address.
    """

    def __init__(self, resolve: Mapping[str, str], whitelist: tuple[str, ...] | None) -> None:
        for name, address in resolve.items():
            if not ipaddress.ip_address(address).is_loopback:
                raise ValueError(f"resolve: {name} -> {address} is not a loopback address")
        self._resolve = {name.lower(): address for name, address in resolve.items()}
        self._open: set[str] | None = None
        self.outage = Outage.NONE
        self.let(whitelist)

    def let(self, whitelist: tuple[str, ...] | None) -> None:
        """The operator lets these through from now on; None: all."""
        self._open = None
        if whitelist is not None:
            self._open = {name.lower() for name in whitelist}
            self._open |= {self._resolve[name] for name in self._open if name in self._resolve}

    @staticmethod
    def literal(host: str) -> bool:
        """Whether `host` is an address, which costs no query."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True

    def address(self, host: str) -> str | None:
        """The address of a name or an address; None for one that this machine must not call.

        Unresolved for an unknown name.
        """
        if self.literal(host):
            return host if ipaddress.ip_address(host).is_loopback else None
        address = self._resolve.get(host.lower(), self._resolve.get("*"))
        if address is None:
            raise Unresolved(host)
        return address

    def lets_through(self, host: str, address: str | None) -> bool:
        """Whether the operator does."""
        return self._open is None or host.lower() in self._open or address in self._open
