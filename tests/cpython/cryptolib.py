"""Stand-in for MicroPython's `cryptolib` where firmware modules are tested on CPython."""

from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class aes:
    """`aes(key, 1)` is ECB, `aes(key, 2, iv)` CBC, which goes on from call to call."""

    def __init__(self, key: bytes, mode: int, iv: bytes | None = None) -> None:
        chosen: Any = {1: modes.ECB, 2: modes.CBC}[mode]
        cipher = Cipher(algorithms.AES(key), chosen() if iv is None else chosen(iv))
        self._encryptor = cipher.encryptor()

    def encrypt(self, data: bytes, into: bytearray | None = None) -> bytes | bytearray:
        """Whole blocks; into `into`, which may be `data`, when it is given."""
        if len(data) % 16:
            raise ValueError("blksize % 16")
        out = self._encryptor.update(bytes(data))
        if into is None:
            return out
        into[: len(out)] = out
        return into
