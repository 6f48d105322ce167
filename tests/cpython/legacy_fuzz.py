"""Random and damaged frames for the codecs of legacy protocols, drawn by seed, in blocks of 100.

Half of the damage is sealed again with right checks, so that it reaches what stands behind them.
"""

import json
import random
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from fleet.legacy.protocols import crc
from fleet.legacy.protocols.catalogue import NAMES, codec
from fleet.legacy.protocols.frame import FrameError

BLOCK = 100
LIMIT_S = 0.050  # of this thread's own time, for one frame
_FILE = Path(__file__).parents[1] / "vectors" / "legacy.jsonl"
_WOKEN = ("cjt188", "dlt645")  # FE before a frame wakes the meter
_JUMPS = (0x00, 0xFF, 0x68, 0x16, 0x33, 0x99, 0xAA, 0x7E, 0xFE, 0x0D)


class Slow(AssertionError):
    """A frame took longer than 50 ms."""


@cache
def vectors() -> list[dict[str, Any]]:
    """All example frames with what they say."""
    return [json.loads(line) for line in _FILE.read_text(encoding="utf-8").splitlines()]


@cache
def examples(protocol: str) -> list[bytes]:
    """The example frames of one protocol."""
    return [bytes.fromhex(one["hex"]) for one in vectors() if one["protocol"] == protocol]


def run_block(protocol: str, seed: int, block: int) -> tuple[int, float]:
    """(good frames, seconds of the slowest) of 100 cases; what goes wrong is raised."""
    chance = random.Random(f"{protocol} {seed} {block}")
    good, slowest = 0, 0.0
    for _ in range(BLOCK):
        data = case(protocol, chance)
        begun = time.thread_time()
        good += judge(protocol, data)
        took = time.thread_time() - begun
        slowest = max(slowest, took)
        if took > LIMIT_S:
            raise Slow(f"{protocol}: {took * 1000:.0f} ms for {data.hex()}")
    return good, slowest


def judge(protocol: str, data: bytes) -> int:
    """1 for a frame that is read, written again and read as the same; 0 for a refusal."""
    chosen = codec(protocol)
    variant = None
    try:
        frame = chosen.decode(data, variant)
    except FrameError as e:
        _one_line(e, data)
        return 0
    json.dumps(frame.as_json())
    chosen.values(frame)
    chosen.answer(frame)
    again = chosen.encode(frame)
    if _is_exact(protocol, data):
        assert again == (data.lstrip(b"\xfe") if protocol in _WOKEN else data), data.hex()
    assert chosen.encode(chosen.decode(again, variant)) == again, data.hex()
    return 1


def _is_exact(protocol: str, data: bytes) -> bool:
    """Whether a good frame has one way to be written; text may be set in several."""
    return protocol != "hj212" and not (protocol == "sl651" and data[:1] == b"\x01")


def _one_line(refusal: FrameError, data: bytes) -> None:
    assert str(refusal).isprintable(), data.hex()
    assert 0 <= refusal.offset <= len(data), (str(refusal), data.hex())


def case(protocol: str, chance: random.Random) -> bytes:
    """One frame, damaged or not, or bytes that were never one."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randint(0, 300))
    frame = bytearray(chance.choice(examples(protocol)))
    for _ in range(chance.randint(0, 3)):
        _damage(frame, chance)
    sealed = bytes(frame)
    return _SEALS[protocol](sealed) if chance.random() < 0.6 else sealed


def _damage(frame: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(frame) + 1)
    match chance.randrange(6):
        case 0 if place < len(frame):
            frame[place] ^= 1 << chance.randrange(8)
        case 1 if place < len(frame):
            frame[place] = chance.choice(_JUMPS)
        case 2:
            del frame[place : place + chance.randint(1, 8)]
        case 3:
            frame[place:place] = chance.randbytes(chance.randint(1, 8))
        case 4:
            frame[place:place] = frame[place : place + chance.randint(1, 60)]
        case _ if place < len(frame):
            frame[place] = chance.randrange(256)


def _sum_at(length_at: int) -> Callable[[bytes], bytes]:
    def seal(data: bytes) -> bytes:
        start = len(data) - len(data.lstrip(b"\xfe"))
        body = bytearray(data[start:-2])
        if len(body) > length_at:
            body[length_at] = min(len(body) - length_at - 1, 255)
        return data[:start] + bytes(body) + bytes((sum(body) & 255, 0x16))

    return seal


def _hj212(data: bytes) -> bytes:
    body = data[6:-6][:9999]
    return b"##%04d%b%04X\r\n" % (len(body), body, crc.hj212(body))


def _sl651(data: bytes) -> bytes:
    if data[:1] == b"\x01":
        size = b"%03X" % max(len(data) - 29, 0)
        text = data[:20] + size[-3:] + data[23:-4]
        return text + b"%04X" % crc.modbus(text)
    body = bytearray(data[:-2])
    if len(body) > 15:
        size = len(body) - 15
        body[11:13] = ((body[11] & 0xF0) << 8 | size & 0xFFF).to_bytes(2, "big")
    return bytes(body) + crc.modbus(body).to_bytes(2, "big")


def _modbus(data: bytes) -> bytes:
    return data[:-2] + crc.modbus(data[:-2]).to_bytes(2, "little")


_SEALS: dict[str, Callable[[bytes], bytes]] = {
    "cjt188": _sum_at(10),
    "dlt645": _sum_at(9),
    "hj212": _hj212,
    "sl651": _sl651,
    "modbus": _modbus,
}
assert set(_SEALS) == set(NAMES)
