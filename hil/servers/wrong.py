"""Servers that a node must refuse, and one that it must put up with."""

import ssl
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from hil.servers.certificates import Authority, Chain, chain, stranger

LARGE = 8_000  # bytes of DER; a node has 16 KB for a message of the handshake


def unknown(authority: Authority, name: str) -> Chain:
    """By an authority of the same name, which nobody knows."""
    return chain(stranger(authority), [name])


def expired(authority: Authority, name: str) -> Chain:
    """Since two days."""
    return chain(authority, [name], until=datetime.now(UTC) - timedelta(days=2))


def other_name(authority: Authority, _name: str) -> Chain:
    """For another host."""
    return chain(authority, ["fleet.example.org"])


def short_key(authority: Authority, name: str) -> Chain:
    """RSA of 1,024 bits."""
    return chain(authority, [name], rsa.generate_private_key(65537, 1024))  # noqa: S505  that is it


def large(authority: Authority, name: str) -> Chain:
    """Nothing is wrong with it: a leaf with many names, and certificates that it does not need."""
    names = [f"gate-{n}.district-{n % 7}.example.org" for n in range(140)]
    return chain(authority, [name, *names], behind=8)


def old(context: ssl.SSLContext) -> None:
    """Knows TLS 1.0 and 1.1."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1


def open_cipher(context: ssl.SSLContext) -> None:
    """Encrypts nothing."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # no later one has such a cipher
    context.set_ciphers("eNULL:@SECLEVEL=0")


CHAINS: dict[str, Callable[[Authority, str], Chain]] = {
    "unknown": unknown,
    "expired": expired,
    "other name": other_name,
    "short key": short_key,
    "large": large,
}
CONTEXTS: dict[str, Callable[[ssl.SSLContext], None]] = {"old": old, "open cipher": open_cipher}
