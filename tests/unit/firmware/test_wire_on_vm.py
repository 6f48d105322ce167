"""The bus codecs judge alike on both interpreters: one source for CPython and the VM."""

import json
import random
import subprocess
from pathlib import Path

import pytest
from node.wire import cjt188, dlt645, modbus

FIRMWARE = Path(__file__).parents[3] / "firmware"
SCRIPT = """
import sys, json
from node.wire import cjt188, dlt645, modbus
READS = (
    modbus.decode, modbus.reply_length, modbus.request_length, dlt645.decode, dlt645.length,
    cjt188.decode, cjt188.length, dlt645.bcd, cjt188.bcd,
    lambda d: modbus.single(d[:4], modbus.CDAB, 1000), lambda d: modbus.signed(d[:8], modbus.DCBA),
    lambda d: dlt645.bcd(d[:3], True), lambda d: cjt188.amount(d[:5], cjt188.VOLUME, -3),
    lambda d: cjt188.amount(d[:5], cjt188.ENERGY, 2),
)

def judged(read, data):
    try:
        return repr(read(data))
    except ValueError as e:
        return type(e).__name__

def all_of(data):
    return [judged(read, data) for read in READS]
"""


def frames(seed: int) -> list[bytes]:
    chance = random.Random(seed)
    made = []
    for _ in range(60):
        data = chance.randbytes(chance.randint(0, 40))
        plate = "".join(chance.choices("0123456789", k=14))
        whole = [
            modbus.encode(chance.randint(0, 247), data or b"\x03"),
            dlt645.WAKE + dlt645.encode(plate[:12], 0x91, data),
            cjt188.encode(0x10, plate, 0x81, data),
            data,
            bytes(chance.randint(0, 9) * 16 + chance.randint(0, 9) for _ in range(4)) + b"\x2c",
        ]
        for frame in whole:
            made.append(frame)
            if frame:
                place = chance.randrange(len(frame))
                made.append(frame[:place] + bytes((frame[place] ^ 1,)) + frame[place + 1 :])
    return made


@pytest.mark.parametrize("seed", [1, 2])
def test_both_interpreters_judge_alike(seed: int, micropython: list[str]) -> None:
    data = frames(seed)
    tail = (
        "\nfor line in sys.stdin:\n"
        "    print(json.dumps(all_of(bytes.fromhex(json.loads(line)))))\n"
    )
    out = subprocess.run(
        [*micropython, "-c", SCRIPT + tail],
        cwd=FIRMWARE,
        input="".join(json.dumps(raw.hex()) + "\n" for raw in data),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    here: dict[str, object] = {}
    exec(SCRIPT, here)  # noqa: S102  the same text, by this interpreter
    judged = here["all_of"]
    assert callable(judged)
    for raw, line in zip(data, out.stdout.splitlines(), strict=True):
        assert json.loads(line) == judged(raw), raw.hex()
