"""Every key and nonce that the fleet seals an answer with, and what it sealed."""

from collections import defaultdict

import pytest
from aiocoap import oscore

from fleet.coap.security import Security


class Recorder(oscore.AES_CCM_16_64_128):
    """The algorithm, with a memory: `sealed` has the ciphertexts of each (key, nonce)."""

    def __init__(self) -> None:
        self.sealed: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)

    def encrypt(self, plaintext: bytes, aad: bytes, key: bytes, iv: bytes) -> bytes:
        """As the algorithm's."""
        ciphertext: bytes = super().encrypt(plaintext, aad, key, iv)
        self.sealed[key, iv].add(ciphertext)
        return ciphertext

    def reused(self) -> int:
        """Nonces under which two different answers were sealed."""
        return sum(len(ciphertexts) > 1 for ciphertexts in self.sealed.values())


def record(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Record all that contexts seal from now on."""
    recorder = Recorder()
    monkeypatch.setattr(Security, "alg_aead", recorder)
    return recorder
