"""CoAP messages (RFC 7252, 3): bytes to header, options and payload, and back."""

MAX_BYTES = 1152  # 4.6: of a message, where the path's MTU is not known

CON, NON, ACK, RST = 0, 1, 2, 3
EMPTY, GET, POST = 0, 1, 2  # codes; an answer's is its class << 5 | detail: 2.04 is 0x44

ETAG, OSCORE, URI_PATH, BLOCK2, BLOCK1, ECHO = 4, 9, 11, 23, 27, 252


class CoapFormatError(ValueError):
    """The bytes are no CoAP message."""


def encode(kind: int, code: int, mid: int, token: bytes, options, payload: bytes) -> bytes:  # type: ignore[no-untyped-def]
    """A message; `options` as in `body`."""
    head = bytes((0x40 | kind << 4 | len(token), code, mid >> 8, mid & 255))
    return head + token + body(options, payload)


def body(options, payload: bytes) -> bytes:  # type: ignore[no-untyped-def]
    """Options, (number, value) pairs of ascending number, and the payload behind its marker."""
    parts = []
    last = 0
    for number, value in options:
        delta, more = _nibble(number - last)
        size, more_size = _nibble(len(value))
        parts.append(bytes((delta << 4 | size,)) + more + more_size + value)
        last = number
    if payload:
        parts.append(b"\xff")
        parts.append(payload)
    return b"".join(parts)


def decode(data: bytes) -> "tuple[int, int, int, bytes, list[tuple[int, bytes]], bytes]":
    """(kind, code, message id, token, options, payload), or CoapFormatError. Total and bounded."""
    if not 4 <= len(data) <= MAX_BYTES or data[0] >> 6 != 1:
        raise CoapFormatError("no CoAP message of version 1")
    end = 4 + (data[0] & 15)
    if end > min(12, len(data)) or (not data[1] and len(data) > 4):
        raise CoapFormatError("token over 8 bytes, or an empty message that is not")
    options, payload = decode_body(data, end)
    mid = data[2] << 8 | data[3]
    return data[0] >> 4 & 3, data[1], mid, bytes(data[4:end]), options, payload


def decode_body(data: bytes, at: int) -> "tuple[list[tuple[int, bytes]], bytes]":
    """Options and payload from `at` on; CoapFormatError."""
    options: "list[tuple[int, bytes]]" = []
    number = 0
    while at < len(data):
        if data[at] == 0xFF:
            if at + 1 == len(data):
                raise CoapFormatError("a payload marker and no payload")
            return options, bytes(data[at + 1 :])
        head = data[at]
        delta, at = _extended(data, at + 1, head >> 4)
        size, at = _extended(data, at, head & 15)
        number += delta
        if at + size > len(data) or number > 0xFFFF:
            raise CoapFormatError("an option that does not end")
        options.append((number, bytes(data[at : at + size])))
        at += size
    return options, b""


def find(options: "list[tuple[int, bytes]]", number: int) -> "bytes | None":
    """The value of the first option of this number."""
    for one, value in options:
        if one == number:
            return value
    return None


def understood(options: "list[tuple[int, bytes]]", known: "tuple[int, ...]") -> bool:
    """Whether all critical options (5.4.1) are in `known`; a message that has others is no use."""
    return not [n for n, _ in options if n & 1 and n not in known]


def _nibble(n: int) -> "tuple[int, bytes]":
    if n < 13:
        return n, b""
    if n < 269:
        return 13, bytes((n - 13,))
    return 14, (n - 269).to_bytes(2, "big")


def _extended(data: bytes, at: int, nibble: int) -> "tuple[int, int]":
    if nibble < 13:
        return nibble, at
    end = at + nibble - 12
    if nibble == 15 or end > len(data):
        raise CoapFormatError("an option's length or number is cut short")
    return int.from_bytes(data[at:end], "big") + (13 if nibble == 13 else 269), end
