"""Every nonce that was used, on either side: whether one of them covered two messages."""

import hashlib
from collections.abc import Hashable
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from node.link import oscore
from node.wire import coap

RECENT = 64  # requests of a node that a late answer may belong to


class Nonces:
    """(key, nonce) pairs, each with a digest of what it sealed."""

    def __init__(self) -> None:
        self._digests: dict[Hashable, bytes] = {}
        self.reused = 0  # two texts under one nonce
        self.repeated = 0  # one text sealed twice: harmless, and no less a fault of the numbers
        self.requests = 0
        self.answers = 0
        self.challenges = 0  # of the answers: under a number of the fleet's own
        self.unmatched = 0  # answers that open under none of the node's last requests

    def __len__(self) -> int:
        return len(self._digests)

    def request(self, origin: tuple[bytes, bytes], text: bytes) -> None:
        """A node has sealed `text` under `origin`, its kid and Partial IV."""
        self.requests += 1
        self.repeated += ("request", origin) in self._digests
        self._note(("request", origin), text)

    def answer(self, kind: str, origin: tuple[bytes, bytes], cipher: bytes) -> None:
        """The fleet's bytes were seen. Its repeats are the same bytes: nothing is sealed again."""
        self.answers += 1
        self._note((kind, origin), cipher)

    def _note(self, key: Hashable, text: bytes) -> None:
        digest = hashlib.blake2b(text, digest_size=8).digest()
        self.reused += self._digests.setdefault(key, digest) != digest


class Witness:
    """Sees what one node seals, and what comes for it, with the node's keys in its hand."""

    def __init__(self, nonces: Nonces) -> None:
        self._nonces = nonces
        self._context: Any = None
        self._cipher: AESCCM | None = None
        self._recent: list[tuple[bytes, bytes]] = []

    def watch(self, context: Any) -> None:
        """Write down what `context`, a node.link.oscore.Context, seals from now on."""
        if self._cipher is None:
            self._cipher = AESCCM(context.recipient_key, tag_length=8)
        self._context = context
        seal = context.seal

        def sealed(plain: bytes) -> Any:
            option, cipher, request = seal(plain)
            self._nonces.request(request, plain + cipher)
            self._recent = [*self._recent[1 - RECENT :], request]
            return option, cipher, request

        context.seal = sealed

    def heard(self, raw: bytes) -> None:
        """A datagram of the fleet's; unprotected ones use no nonce."""
        _, _, _, _, options, cipher = coap.decode(raw)
        option = coap.find(options, coap.OSCORE)
        if option is None:
            return
        piv, _, _ = oscore.parse(option)
        if piv is not None:
            self._nonces.challenges += 1
            self._nonces.answer("numbered answer", (self._context.sender, piv), cipher)
            return
        # By trial: message ids of two wakes may be the same, the nonce tells the request.
        assert self._cipher is not None
        for request in reversed(self._recent):
            try:
                nonce = self._context.nonce(request)
                self._cipher.decrypt(nonce, bytes(cipher), oscore.aad(request))
            except InvalidTag:
                continue
            self._nonces.answer("answer", request, cipher)
            return
        self._nonces.unmatched += 1
