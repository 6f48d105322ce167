"""An assembler for the ULP-FSM co-processor of the ESP32 and the ESP32-S3: as much of it as the
firmware's programs use. `python -m fleet.releases.ulp` writes what the firmware loads.
"""

import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal
from fleet.paths import firmware_dir

# Header of a binary for ulp_load_binary (ESP-IDF, ulp_common.h): magic, offset and size of the
# text, size of data and of bss.
_HEADER = struct.Struct("<IHHHH")
MAGIC = 0x00706C75  # "ulp"
_OPERATIONS = {"add": 0, "sub": 1, "and": 2, "or": 3, "lsh": 5, "rsh": 6}
_MOVE = 4
_LINE = re.compile(r"(?:(\w+):)?\s*(?:(\.?\w+)\s*(.*))?\Z")


class Target(NamedTuple):
    """What differs between the chips. Registers: (peripheral, word).

    Sources: ulp.h and soc/*_reg.h of ESP-IDF for each chip.
    """

    sub: int  # where sub-opcodes of ALU, END and jumps begin
    jump: int  # sub-opcode of an absolute jump
    store: int  # bits of ST besides registers and offset: without a label, the lower half
    registers: dict[str, tuple[int, int]]


_IO = 1
TARGETS = {
    "esp32": Target(25, 0, 0, {"GPIO_IN": (_IO, 0x24 // 4), "LOW_POWER": (0, 0xC0 // 4)}),
    "esp32s3": Target(
        26,
        1,
        3 << 7,
        {
            "GPIO_IN": (_IO, 0x24 // 4),
            "LOW_POWER": (0, 0xD0 // 4),
            "IOMUX_CLOCK": (2, 0x104 // 4),  # SENS_SAR_PERI_CLK_GATE_CONF_REG
        },
    ),
}


class UlpError(Refusal, ValueError):
    """A program that cannot be assembled; the text names line and reason."""


class _Assembler:
    def __init__(self, target: Target) -> None:
        self.target = target
        self.symbols: dict[str, int] = {}

    def _register(self, text: str) -> int:
        if text not in ("r0", "r1", "r2", "r3"):
            raise UlpError(f"{text!r} is no register r0..r3")
        return int(text[1])

    def _number(self, text: str, most: int) -> int:
        value = self.symbols[text] if text in self.symbols else _integer(text)
        if not 0 <= value <= most:
            raise UlpError(f"{text!r} is outside 0..{most}")
        return value

    def word(self, name: str, arguments: list[str]) -> int:
        """One instruction; UlpError without a place."""
        found: Callable[..., int] | None = getattr(self, f"_{name}_", None)
        if name in _OPERATIONS:
            return self._alu(_OPERATIONS[name], *arguments)
        if found is None:
            raise UlpError(f"unknown instruction {name!r}")
        return found(*arguments)

    def _alu(self, operation: int, to: str, left: str, right: str) -> int:
        base = 7 << 28 | operation << 21 | self._register(left) << 2 | self._register(to)
        if right in ("r0", "r1", "r2", "r3"):
            return base | self._register(right) << 4
        return base | 1 << self.target.sub | self._number(right, 0xFFFF) << 4

    def _move_(self, to: str, source: str) -> int:
        base = 7 << 28 | _MOVE << 21 | self._register(to)
        if source in ("r0", "r1", "r2", "r3"):
            return base | self._register(source) << 2
        return base | 1 << self.target.sub | self._number(source, 0xFFFF) << 4

    def _ld_(self, to: str, base: str, offset: str) -> int:
        place = self._number(offset, 0x3FF) << 10
        return 13 << 28 | place | self._register(base) << 2 | self._register(to)

    def _st_(self, source: str, base: str, offset: str) -> int:
        place = self._number(offset, 0x3FF) << 10 | self._register(base) << 2
        return 6 << 28 | 4 << 25 | place | self.target.store | self._register(source)

    def _jump_(self, to: str, condition: str = "") -> int:
        kinds = {"": 0, "eq": 1, "ov": 2}
        if condition not in kinds:
            raise UlpError(f"unknown condition {condition!r}")
        address = self._number(to, 0x7FF) << 2
        return 8 << 28 | self.target.jump << self.target.sub | kinds[condition] << 22 | address

    def _peripheral(self, name: str, high: str, low: str) -> int:
        unit, word = self.target.registers[name]
        return self._number(high, 31) << 23 | self._number(low, 31) << 18 | unit << 8 | word

    def _reg_rd_(self, name: str, high: str, low: str) -> int:
        return 2 << 28 | self._peripheral(name, high, low)

    def _reg_wr_(self, name: str, high: str, low: str, value: str) -> int:
        if name not in self.target.registers:
            return self._move_("r0", "0")  # this chip needs no such thing, and keeps its place
        return 1 << 28 | self._peripheral(name, high, low) | self._number(value, 0xFF) << 10

    def _halt_(self) -> int:
        return 11 << 28

    def _wake_(self) -> int:
        return 9 << 28 | 1


def _integer(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise UlpError(f"{text!r} is neither a number nor a name") from None


def assemble(source: str, chip: str) -> bytes:
    """The program as `esp32.ULP.load_binary` takes it; UlpError names the line."""
    assembler = _Assembler(TARGETS[chip])
    lines: list[tuple[int, str, list[str]]] = []
    for number, text in enumerate(source.splitlines(), 1):
        found = _LINE.match(text.partition("#")[0].strip())
        if found is None:
            raise UlpError(f"line {number}: neither a label nor an instruction")
        label, name, rest = found[1], found[2], found[3] or ""
        arguments = [part.strip() for part in rest.split(",")] if rest.strip() else []
        if label:
            assembler.symbols[label] = len(lines)
        if name == ".set":
            assembler.symbols[arguments[0]] = _integer(arguments[1])
        elif name:
            lines.append((number, name, arguments))
    words = []
    for number, name, arguments in lines:
        try:
            words.append(assembler.word(name, arguments))
        except (UlpError, TypeError, KeyError) as e:
            raise UlpError(f"line {number}: {name}: {e}") from None
    raw = b"".join(struct.pack("<I", word) for word in words)
    return _HEADER.pack(MAGIC, _HEADER.size, len(raw), 0, 0) + raw


def module(source: str) -> str:
    """The firmware's module of this program."""
    lines = ['"""The program of ulp/reeds.s, assembled by `python -m fleet.releases.ulp`."""', ""]
    for chip in sorted(TARGETS):
        lines.append(f"{chip.upper()} = (")
        raw = assemble(source, chip)
        for at in range(0, len(raw), 20):
            digits = "".join(f"\\x{byte:02x}" for byte in raw[at : at + 20])
            lines.append(f'    b"{digits}"')
        lines.append(")")
    return "\n".join(lines) + "\n"


def paths(firmware: Path) -> tuple[Path, Path]:
    """The program's source, and the module with its bytes."""
    return firmware / "ulp" / "reeds.s", firmware / "node" / "sense" / "ulpcode.py"


if __name__ == "__main__":
    wanted, made = paths(firmware_dir())
    made.write_text(module(wanted.read_text()))
    sys.stdout.write(f"{made}\n")
