"""The text of a claim token: `kpk1-` and Crockford base32 of secret, fleet and a checksum."""

import hashlib
import secrets
from typing import NamedTuple

from fleet.identity.errors import IdentityError
from fleet.identity.secret import SecretBytes
from fleet.wire.nodeid import ALPHABET

PREFIX = "kpk1-"
SECRET_BYTES = 16
# Nobody finds a second root CA with the same 128 bits of SHA-256.
FLEET_BYTES = 16
_CHECK_BYTES = 4  # against a slip of the hand, not against a forger
_BYTES = SECRET_BYTES + FLEET_BYTES + _CHECK_BYTES
_SYMBOLS = -(-_BYTES * 8 // 5)
LONGEST = 128  # characters that are looked at, dashes and blanks of a pasted text included
# Crockford: letters that are read as digits.
_READ_AS = str.maketrans({"i": "1", "l": "1", "o": "0"})


class TokenTextError(IdentityError):
    """Not the text of a token; the text of the error never holds it."""


class TokenText(NamedTuple):
    """What the text carries: the secret, and which fleet it is good for."""

    secret: SecretBytes
    fleet: bytes


def fleet_digest(root_der: bytes) -> bytes:
    """By what a token names a fleet: the beginning of SHA-256 over its root CA in DER."""
    return hashlib.sha256(root_der).digest()[:FLEET_BYTES]


def draw(fleet: bytes) -> TokenText:
    """A new token for the fleet of that digest."""
    return TokenText(SecretBytes(secrets.token_bytes(SECRET_BYTES)), fleet)


def encode(token: TokenText) -> str:
    """`kpk1-` and 58 symbols."""
    body = bytes(token.secret) + token.fleet
    number = int.from_bytes(body + _check(body), "big") << (_SYMBOLS * 5 - _BYTES * 8)
    return PREFIX + "".join(
        ALPHABET[number >> shift & 31] for shift in range((_SYMBOLS - 1) * 5, -1, -5)
    )


def decode(text: str) -> TokenText:
    """What `encode` was given, however it was typed; TokenTextError otherwise."""
    if len(text) > LONGEST:
        raise TokenTextError("the token is too long: copy it again, kpk1- and 58 characters")
    plain = "".join(text.split()).lower()
    if not plain.startswith(PREFIX):
        raise TokenTextError("no claim token: it begins with kpk1-")
    symbols = plain.removeprefix(PREFIX).replace("-", "").translate(_READ_AS)
    places = [ALPHABET.find(symbol) for symbol in symbols]
    if len(places) != _SYMBOLS or min(places) < 0:
        raise TokenTextError(
            f"the token is incomplete or damaged: {_SYMBOLS} digits and letters follow kpk1-"
        )
    number = 0
    for place in places:
        number = number << 5 | place
    spare = _SYMBOLS * 5 - _BYTES * 8
    raw = (number >> spare).to_bytes(_BYTES, "big")
    body = raw[:-_CHECK_BYTES]
    if number & ((1 << spare) - 1) or _check(body) != raw[-_CHECK_BYTES:]:
        raise TokenTextError("the token has a wrong character: its checksum does not match")
    return TokenText(SecretBytes(body[:SECRET_BYTES]), body[SECRET_BYTES:])


def _check(body: bytes) -> bytes:
    return hashlib.sha256(b"kpk1\0" + body).digest()[:_CHECK_BYTES]
