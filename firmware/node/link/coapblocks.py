"""Block-wise transfer (RFC 7959) of what one datagram does not hold. Few wakes need it.

`ask(code, options, payload, release)` is a coroutine that gives (code, options, payload) of the
answer.
"""

from micropython import const

from node.errors import CoapError
from node.wire import coap

_CONTINUE = const(0x5F)  # 2.31
_CONTENT = const(0x45)  # 2.05
_INCOMPLETE = const(0x88)  # 4.08
_TOO_LARGE = const(0x8D)  # 4.13
# 4.03, 4.04 and 5.03 of an update: GONE, UNKNOWN, LATER (wire/release.py).
_WORDS = {0x83: 1, 0x84: 2, 0xA3: 3}


async def upload(ask, payload: bytes, size: int, release: int):
    """POST `payload` in blocks of `size` (16 to 1,024); the answer to the last one, which alone
    has `release`.

    The server may ask for smaller blocks. Once it may have lost what it had, and all is sent anew.
    """
    at = 0
    lost = False
    while True:
        part = payload[at : at + size]
        more = at + size < len(payload)
        block = _block(at // size, more, size)
        code, options, answer = await ask(
            coap.POST, ((coap.BLOCK1, block),), part, 0 if more else release
        )
        told = coap.find(options, coap.BLOCK1)
        wanted = size if told is None else _size(told)
        if code == _TOO_LARGE and wanted < size:
            size = wanted
            at = 0
        elif code == _INCOMPLETE and not lost:
            lost = True
            at = 0
        elif more and code != _CONTINUE:
            raise CoapError("a block is refused with %d.%02d" % (code >> 5, code & 31), code)
        elif not more:
            return code, options, answer
        else:
            at += size
            size = min(size, wanted)  # 2.3: from the next block on


async def download(ask, path, most: int, size: int) -> bytes:
    """What GET gives for the segments `path`, in blocks of `size` or what the server has smaller;
    CoapError when it is over `most` bytes, or changes meanwhile."""
    held = b""
    etag = None
    while True:
        options = [(coap.URI_PATH, segment) for segment in path]
        options.append((coap.BLOCK2, _block(len(held) // size, False, size)))
        code, told, part = await ask(coap.GET, options, b"", 0)
        if code != _CONTENT:
            raise CoapError("GET is answered by %d.%02d" % (code >> 5, code & 31), code)
        if held and coap.find(told, coap.ETAG) != etag:
            raise CoapError("what is fetched has changed meanwhile")
        etag = coap.find(told, coap.ETAG)
        block = coap.find(told, coap.BLOCK2) or b""
        size = min(size, _size(block)) if block else size
        number = int.from_bytes(block, "big")
        if number >> 4 != len(held) // size or len(held) + len(part) > most:
            raise CoapError("a block out of turn, or over %d bytes in all" % most)
        held += part
        if not number & 8:
            return held
        if len(part) != size:
            raise CoapError("a block of %d bytes instead of %d" % (len(part), size))


async def pick(ask, path, size: int, first: int, missing: bytes, take) -> int:
    """`blocks` of node.link.door: those of GET `path`, each by itself, in any order (2.4)."""
    for i in range(8 * len(missing)):
        if not missing[i >> 3] & 128 >> (i & 7):
            continue
        options = [(coap.URI_PATH, segment) for segment in path]
        wanted = _block(first + i, False, size)
        options.append((coap.BLOCK2, wanted))
        code, told, part = await ask(coap.GET, options, b"", 0)
        if code in _WORDS:
            return _WORDS[code]
        if code != _CONTENT:
            raise CoapError("GET is answered by %d.%02d" % (code >> 5, code & 31), code)
        got = int.from_bytes(coap.find(told, coap.BLOCK2) or b"", "big")
        if got | 8 != int.from_bytes(wanted, "big") | 8:
            raise CoapError("another block than the one that was asked for")
        take(first + i, part)
    return 0


def _block(number: int, more: bool, size: int) -> bytes:
    # 2.2: NUM, M, SZX; the shortest form.
    exponent = 0
    while 16 << exponent < size:
        exponent += 1
    value = number << 4 | more << 3 | exponent
    return value.to_bytes(3, "big").lstrip(b"\0")


def _size(block: bytes) -> int:
    exponent = block[-1] & 7 if block else 0
    if len(block) > 3 or exponent == 7:
        raise CoapError("a block option of %d bytes" % len(block))
    return 16 << exponent
