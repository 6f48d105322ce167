"""aiocoap's OSCORE as the other side of a context, and its view of whole CoAP messages."""

from typing import Any

from aiocoap import Message, oscore
from aiocoap.message import Direction


class Peer(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):  # type: ignore[misc]
    """A context of aiocoap that keeps nothing. `number` is its next Sender Sequence Number."""

    def __init__(
        self,
        secret: bytes,
        sender: bytes,
        recipient: bytes,
        number: int = 0,
        salt: bytes = b"",
        id_context: bytes | None = None,
    ) -> None:
        self.alg_aead = oscore.algorithms[oscore.DEFAULT_ALGORITHM]
        self.hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
        self.sender_id = sender
        self.recipient_id = recipient
        self.id_context = id_context
        self.sender_sequence_number = number
        self.echo_recovery = None
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()
        self.derive_keys(salt, secret)

    def post_seqnoincrease(self) -> None:
        """Nothing is kept."""

    def seal(self, message: Message, request: Any = None) -> tuple[bytes, bytes, Any]:
        """As the firmware's: option, ciphertext, what unseal() takes."""
        message.direction = Direction.OUTGOING
        outer, request = self.protect(message, request)
        return outer.opt.oscore, outer.payload, request

    def unseal(
        self, code: int, option: bytes, cipher: bytes, request: Any = None
    ) -> tuple[Message, Any]:
        """The message inside, and what seal() takes for its answer."""
        outer = Message(code=code, payload=cipher)
        outer.opt.oscore = option
        outer.direction = Direction.INCOMING
        return self.unprotect(outer, request)


def decoded(raw: bytes) -> Message:
    """An unprotected message as one to send."""
    message = Message.decode(raw)
    message.direction = Direction.OUTGOING
    return message


def encoded(outer: Message, like: Message) -> bytes:
    """`outer` with the header that `like` has."""
    outer.mid, outer.token, outer.mtype = like.mid, like.token, like.mtype
    raw: bytes = outer.encode()
    return raw
