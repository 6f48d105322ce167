"""What stands inside a protected message: a request taken apart, an answer put together."""

from dataclasses import dataclass, field

from aiocoap import Message
from aiocoap.numbers import codes

from fleet.coap import blocks, datagram
from fleet.coap.blocks import Block

# RFC 7252, 5.10; RFC 7959; RFC 9175
URI_PATH = 11
BLOCK2 = 23
BLOCK1 = 27
ECHO = 252

MOST_NUMBER = 2**31 - 1
ITEM, STREAM = "d", "u"  # first segments of what is fetched: a queued item, an update's stream


class RefusedError(Exception):
    """A protected request that is answered by `code` and has no other effect."""

    def __init__(self, code: codes.Code) -> None:
        super().__init__(str(code))
        self.code = code


@dataclass
class Request:
    """A request for the root or for an item: code, path and the options that are spoken here."""

    code: int
    path: list[str] = field(default_factory=list)
    block1: Block | None = None
    block2: Block | None = None
    echo: bytes | None = None
    payload: bytes = b""

    @property
    def fetched(self) -> tuple[str, int] | None:
        """(ITEM, number) of GET /d/<number>, (STREAM, number) of GET /u/<number>; None for a POST
        to the root.

        RefusedError for anything else.
        """
        if not self.path:
            if self.code != codes.POST:
                raise RefusedError(codes.METHOD_NOT_ALLOWED)
            if self.block2 is not None:
                raise RefusedError(codes.BAD_OPTION)
            return None
        kind, *rest = self.path
        number = rest[0] if len(rest) == 1 else ""
        known = kind in (ITEM, STREAM) and number.isascii() and number.isdecimal()
        if not known or len(number) > 10:
            raise RefusedError(codes.NOT_FOUND)
        if self.code != codes.GET:
            raise RefusedError(codes.METHOD_NOT_ALLOWED)
        if self.block1 is not None:
            raise RefusedError(codes.BAD_OPTION)
        if not 0 < int(number) <= MOST_NUMBER:
            raise RefusedError(codes.NOT_FOUND)
        return kind, int(number)


def read(plain: bytes) -> Request:
    """The request in a plaintext; RefusedError for what RFC 7252 has refused."""
    try:
        found, payload = datagram.options(plain, 1)
    except datagram.MalformedError:
        raise RefusedError(codes.BAD_OPTION) from None
    request = Request(plain[0], payload=payload)
    once: set[int] = set()
    for number, value in found:
        if number != URI_PATH and number & 1 and number in once:
            raise RefusedError(codes.BAD_OPTION)  # RFC 7252, 5.4.5
        once.add(number)
        _take(request, number, value)
    if request.block1 is not None:
        _check_size(request.block1, len(payload))
    return request


def _take(request: Request, number: int, value: bytes) -> None:
    try:
        if number == URI_PATH:
            request.path.append(value.decode())
        elif number == BLOCK1:
            request.block1 = blocks.read(value)
        elif number == BLOCK2:
            request.block2 = blocks.read(value)
        elif number == ECHO:
            request.echo = value
        elif number & 1:  # critical and not spoken here
            raise RefusedError(codes.BAD_OPTION)
    except ValueError:
        raise RefusedError(codes.BAD_OPTION) from None


def _check_size(block: Block, size: int) -> None:
    if size > block.size or (block.more and size != block.size):
        raise RefusedError(codes.BAD_REQUEST)


def answer(code: codes.Code, payload: bytes = b"", **options: object) -> bytes:
    """The plaintext of an answer: code, options by aiocoap's names, payload."""
    message = Message(code=code, payload=payload)
    for name, value in options.items():
        setattr(message.opt, name, value)
    plain: bytes = bytes((code,)) + message.opt.encode()
    return plain + b"\xff" + payload if payload else plain


def piece(data: bytes, total: int, etag: bytes, block: Block) -> bytes:
    """The answer that carries a block of a stream of `total` bytes; 4.02 behind its end."""
    if not data:
        raise RefusedError(codes.BAD_OPTION)
    more = block.start + len(data) < total
    size_exponent = block.size.bit_length() - 5
    return answer(
        codes.CONTENT, data, etag=etag, block2=(block.number, more, size_exponent)
    )  # fmt: skip


def part(payload: bytes, wanted: Block | None) -> bytes:
    """The answer that carries `payload`, or the block of it that is wanted (RFC 7959, 2.4)."""
    block = wanted or Block(0, False, 1024)
    piece = payload[block.start : block.start + block.size]
    if wanted is None and len(payload) <= block.size:
        return answer(codes.CONTENT, payload)
    if not piece:
        raise RefusedError(codes.BAD_REQUEST)
    more = block.start + block.size < len(payload)
    size_exponent = block.size.bit_length() - 5
    return answer(codes.CONTENT, piece, block2=(block.number, more, size_exponent))
