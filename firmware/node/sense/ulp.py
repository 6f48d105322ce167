"""Loads the counting program into the ULP. Needed when power came, and then not again."""

import struct

import esp32
import machine
from micropython import const

from node.sense import ulpcode

_WORDS = const(0x50000200)  # DATA of ulp/reeds.s
_FIELDS = const(11)
_TABLE = const(16)
_HEAD = const(12)  # bytes in front of the program
_PIN_WORDS = (1, 3)  # instructions that read the contacts
_TOUCH = (4, 0, 2, 15, 13, 12, 14, 27)  # GPIO of the ESP32's touch pads, RTC GPIO 10 to 17
# Of a pad (RTC_IO_TOUCH_PADn_REG): it is the RTC's, an input, pulled down and not up, function 0.
_SET = const(0x10082000)
_CLEAR = const(0x08060000)
_CLOCK = const(0x60008904)  # SENS_SAR_PERI_CLK_GATE_CONF_REG of the ESP32-S3: RTC inputs are alive
# For one contact, two set apart, two that overlap: steps by 4 * before + now, as in ulp/reeds.s.
_STEPS = ("1115111111111111", "111f113f131f1111", "120f01f22f10f021")


def load(config: dict, setting: int, magic: int, place: int) -> None:
    """Start counting from 0; the arguments are those of Reeds.start, and what it notes."""
    pins = config["pins"]
    first = pins["pulse"]
    second = pins.get("pulse2", first)
    s3 = hasattr(esp32, "mcu_temperature")  # the ESP32 has raw_temperature
    program = bytearray(ulpcode.ESP32S3 if s3 else ulpcode.ESP32)
    base = 0x60008400 if s3 else 0x3FF48400  # RTC_IO
    if s3:
        machine.mem32[_CLOCK] = machine.mem32[_CLOCK] | 0x80000000
    closed = 0
    for n, pin in enumerate((first, second)):
        pad = pin if s3 else _TOUCH.index(pin)
        address = base + 4 * pad + (0x84 if s3 else 0x94)
        machine.mem32[address] = machine.mem32[address] & ~_CLEAR | _SET
        bit = 10 + pad if s3 else 24 + pad
        closed |= (machine.mem32[base + 0x24] >> bit & 1) << n
        at = _HEAD + 4 * _PIN_WORDS[n]
        word = struct.unpack_from("<I", program, at)[0] | bit << 18 | bit << 23
        struct.pack_into("<I", program, at, word)
    if place < 0:
        place = 7 << 4 | 256  # the first closing of the first contact is a pulse
    if place & 256:
        place = place & 0xF0 | closed
    contacts = place & 3
    ulp = esp32.ULP()
    ulp.load_binary(0, program)
    kind = setting >> 8
    quarters = (4, place >> 4 & 6, place >> 4)[kind]  # in steps of the contacts that there are
    fields = [0, contacts, contacts, quarters, 0, 0, 0, 0, 0, 0 if kind == 1 else 4, setting]
    for n in range(1, _FIELDS):
        machine.mem32[_WORDS + 4 * n] = fields[n]
    for n in range(16):
        machine.mem32[_WORDS + 4 * (_TABLE + n)] = int(_STEPS[kind][n : n + 1], 16)
    machine.mem32[_WORDS] = magic
    ulp.set_wakeup_period(0, (setting & 0xFF) * 1000)
    ulp.run(0)
