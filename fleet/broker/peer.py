"""The identity that a TLS client proved by its certificate."""

import ssl
from typing import NamedTuple, cast

from fleet.broker.permissions import rules_of


class Peer(NamedTuple):
    """CN and serial number of a certificate that the TLS layer has verified."""

    cn: str
    serial: int


class UnknownPeer(Exception):
    """No certificate, or one whose subject is no node, no voucher and no service."""


def peer_of(connection: ssl.SSLObject | None) -> Peer:
    """The peer of a TLS connection; UnknownPeer when it proved no identity that has rules."""
    certificate = connection.getpeercert() if connection is not None else None
    if not certificate:
        raise UnknownPeer("no client certificate")
    # The form is (((name, value),), ...): one tuple for each relative distinguished name.
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
    names = [value for rdn in subject for key, value in rdn if key == "commonName"]
    serial = certificate.get("serialNumber")
    if len(names) != 1 or not isinstance(serial, str):
        raise UnknownPeer("the client certificate has no single CN")
    if not rules_of(names[0]):
        raise UnknownPeer("the client certificate's CN is no node id, no claim id and no service")
    return Peer(names[0], int(serial, 16))
