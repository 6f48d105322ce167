"""What goes wrong on the line between host and modem."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

FIFO_BYTES = 128  # of the ESP32's UART: what comes on top while the host is deaf is lost
BITS_PER_BYTE = 10  # 8N1


@dataclass(frozen=True)
class LineFaults:
    """`split`: bytes that arrive together at most. `merge_ms`: what comes within arrives at once.

    `deaf_chance`: of each burst, that the host does not empty its FIFO for `deaf_ms`. `autobaud`:
    after each start the modem learns the rate from an AT that it does not answer. `baud` is the
    modem's: a host that has another rate gets and gives garbage.
    """

    split: int | None = None
    merge_ms: int = 0
    deaf_chance: float = 0.0
    deaf_ms: float = 20.0
    autobaud: bool = False
    baud: int = 115_200


def garbled(data: bytes, sent_baud: int, heard_baud: int) -> bytes:
    """What a UART at `heard_baud` makes of bytes sent at `sent_baud`, one behind the other.

    It samples the middle of each bit after a falling edge, and keeps bytes with a wrong stop bit.
    """
    if sent_baud == heard_baud:
        return data
    levels = list(_levels(data))
    ratio = sent_baud / heard_baud  # sent bits in one heard bit
    heard = bytearray()
    at = 0.0
    while at < len(levels):
        if levels[int(at)]:
            at = int(at) + 1.0
            continue
        value = 0
        for bit in range(8):
            middle = int(at + (1.5 + bit) * ratio)
            if middle >= len(levels) or levels[middle]:
                value |= 1 << bit
        heard.append(value)
        at += (BITS_PER_BYTE - 0.5) * ratio
    return bytes(heard)


def _levels(data: bytes) -> Iterator[int]:
    for byte in data:
        yield 0
        for bit in range(8):
            yield byte >> bit & 1
        yield 1


def overrun(data: bytes, rng: random.Random, faults: LineFaults, baud: int) -> bytes:
    """`data` without what the host's FIFO had no room for while the host was deaf."""
    if not faults.deaf_chance or rng.random() >= faults.deaf_chance:
        return data
    came = int(faults.deaf_ms / 1000 * baud / BITS_PER_BYTE)
    start = rng.randrange(len(data)) if data else 0
    return data[: start + FIFO_BYTES] + data[start + max(FIFO_BYTES, came) :]
