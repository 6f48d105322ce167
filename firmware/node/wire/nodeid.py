"""The node id: the 48-bit base MAC in Crockford base32, ten lower-case characters."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 10


class NodeIdError(ValueError):
    """Not a node id, or not a 48-bit MAC."""


def from_mac(mac: bytes) -> str:
    """Node id of the 6-byte base MAC, e.g. 30:ae:a4:12:34:56 -> 1gntj14d2p."""
    if len(mac) != 6:
        raise NodeIdError("a MAC has 6 bytes")
    n = int.from_bytes(mac, "big")
    text = ""
    for shift in range(45, -1, -5):
        text += ALPHABET[n >> shift & 31]
    return text


def to_mac(node_id: str) -> bytes:
    """The 6-byte MAC of a node id; NodeIdError for any other text."""
    if len(node_id) != LENGTH:
        raise NodeIdError("a node id has 10 characters")
    n = 0
    for c in node_id:
        i = ALPHABET.find(c)
        if i < 0:
            raise NodeIdError("a node id has digits and lower-case letters but i, l, o and u")
        n = n << 5 | i
    if n >> 48:
        raise NodeIdError("a node id stands for 48 bits: its first character is 0..7")
    return n.to_bytes(6, "big")
