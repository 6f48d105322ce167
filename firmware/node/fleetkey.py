"""Whether the fleet itself has said something to this node: by the key that only the two have."""

from micropython import const

_KEY = const(32)  # bytes
_MAC = const(16)


def said(nvs, data: bytes, mac: bytes) -> bool:
    """Whether `mac` is the first 16 bytes of HMAC-SHA-256 over `data` by the key in NVS `hmac`.

    A node without the key obeys nobody. The time that it takes does not tell how much was right.
    """
    from node.link.hkdf import hmac

    key = bytearray(_KEY)
    try:
        if nvs.get_blob("hmac", key) != _KEY:
            return False
    except OSError:
        return False
    own = hmac(bytes(key), data)[:_MAC]
    different = len(own) ^ len(mac)
    for a, b in zip(own, mac):
        different |= a ^ b
    return not different
