"""The ULP-FSM co-processor of the ESP32 and ESP32-S3: it executes the program that lies in RTC
slow memory, at each tick of its timer.

A run that changed nothing would change nothing at the next tick either, as long as memory and
inputs are the same: such runs are not executed, and counted by the clock. Encodings: ulp.h of
ESP-IDF for each chip; cycles: "ULP coprocessor instruction set", ESP32 TRM section 30.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from hil.virtual.clock import VirtualClock

MEMORY = 8192  # bytes of RTC slow memory
BASE = 0x5000_0000  # as the CPU sees it
_IO_BASE, _CNTL_BASE, _SENS_BASE = 0x400, 0x000, 0x800  # within the RTC peripherals
_MOST = 10_000  # instructions in a run: a program that never halts is stopped, and said so
_ADD, _SUB, _AND, _OR, _MOV, _LSH, _RSH = range(7)


class Model(NamedTuple):
    """What differs between the chips."""

    registers: int  # address of the RTC peripherals
    sub: int  # bit of the sub-opcodes of ALU and jumps
    jump: int  # sub-opcode of an absolute jump
    first_input: int  # bit of RTC GPIO 0 in RTC_GPIO_IN
    low_power: int  # RTC_CNTL_LOW_POWER_ST_REG
    hertz: int  # of the fast RTC clock
    upper: bool  # ST keeps the upper half word
    clock: int  # register whose bit 31 lets RTC inputs be read; 0: none


MODELS = {
    "esp32": Model(0x3FF4_8000, 25, 0, 14, 0xC0, 8_500_000, False, 0),
    "esp32s3": Model(0x6000_8000, 26, 1, 10, 0xD0, 17_500_000, True, _SENS_BASE + 0x104),
}
# RTC GPIO numbers of the ESP32's touch pads 0 to 7, which begin at 10 (rtc_io_channel.h). On the
# ESP32-S3 they are the GPIO numbers.
_TOUCH = (4, 0, 2, 15, 13, 12, 14, 27)
_PADS = {"esp32": 0x494, "esp32s3": 0x484}  # RTC_IO_TOUCH_PAD0_REG; a word for each pad
_MUX, _INPUT = 1 << 19, 1 << 13  # of a pad: it belongs to the RTC, and can be read


class Ulp:
    """`level(pin)` is a pin's level; `sleeping()` whether the CPU is in deep sleep; `wake()` ends
    it. `fault` says what no program may do, once one did."""

    def __init__(
        self,
        chip: str,
        clock: VirtualClock,
        level: Callable[[int], int],
        sleeping: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self.model = MODELS[chip]
        self._chip = chip
        self._clock = clock
        self._level = level
        self._sleeping = sleeping
        self._wake = wake
        self.fault = ""
        self.runs = 0  # executed ones
        self.idle_cycles = 0  # of the last run that changed nothing
        self.power_off()

    def power_off(self) -> None:
        """Memory and registers are gone."""
        self.memory = bytearray(MEMORY)
        self._registers: dict[int, int] = {}
        self.period_us = 0
        self._entry = -1  # word, -1: not started
        self._started_us = 0
        self._pending = False  # a tick is on the clock
        self._generation = getattr(self, "_generation", 0) + 1

    @property
    def running(self) -> bool:
        """Whether it looks every `period_us`."""
        return self._entry >= 0 and self.period_us > 0 and not self.fault

    def halt(self) -> None:
        """The chip was reset: it runs no more, its memory stays."""
        self._entry = -1
        self._pending = False
        self._generation += 1

    # The CPU

    def load(self, address: int, binary: bytes) -> bool:
        """ulp_load_binary; False where ESP-IDF refuses."""
        if len(binary) < 12:
            return False
        magic, offset, text, data, bss = struct.unpack_from("<IHHHH", binary)
        whole = text + data + bss
        if magic != 0x00706C75 or offset + text + data > len(binary) or address + whole > MEMORY:
            return False
        self.memory[address : address + whole] = binary[offset : offset + text + data] + bytes(bss)
        return True

    def start(self, entry: int) -> None:
        """ulp_run: the first run comes one period from now."""
        self._entry = entry // 4
        self._started_us = self._clock.now_us
        self.kick()

    def read(self, address: int) -> int:
        """A word of RTC slow memory, or of the RTC's registers."""
        if BASE <= address < BASE + MEMORY:
            found: int = struct.unpack_from("<I", self.memory, address - BASE & ~3)[0]
            return found
        return self._register(address - self.model.registers)

    def write(self, address: int, value: int) -> None:
        """As `read`; other addresses take it and do nothing."""
        if BASE <= address < BASE + MEMORY:
            struct.pack_into("<I", self.memory, address - BASE & ~3, value & 0xFFFF_FFFF)
        else:
            self._registers[address - self.model.registers] = value & 0xFFFF_FFFF
        self.kick()

    def release(self, pin: int) -> None:
        """machine.Pin takes a pin back from the RTC (rtc_gpio_deinit): the ULP sees it no more."""
        pad = pin
        if self._chip == "esp32":
            pad = _TOUCH.index(pin) if pin in _TOUCH else -1
        address = _PADS[self._chip] + 4 * pad
        if pad >= 0 and address in self._registers:
            self._registers[address] &= ~_MUX
            self.kick()

    # Time

    def kick(self) -> None:
        """An input, the memory or the CPU's state changed: the next tick may find something."""
        if self._entry < 0 or not self.period_us or self._pending or self.fault:
            return
        self._pending = True
        passed = self._clock.now_us - self._started_us
        at = self._started_us + (passed // self.period_us + 1) * self.period_us
        generation = self._generation
        self._clock.board.add(at, lambda: self._tick(generation))

    def _tick(self, generation: int) -> None:
        if generation != self._generation:
            return  # of a life before the power failed
        self._pending = False
        before = bytes(self.memory)
        cycles = self._run()
        self.runs += 1
        if bytes(self.memory) != before:
            self.kick()
        else:
            self.idle_cycles = cycles

    # The program

    def _pin(self, number: int) -> int | None:
        """The GPIO of an RTC GPIO, None where it does not belong to the RTC."""
        if self._chip == "esp32":
            pad = number - 10
            pin = _TOUCH[pad] if 0 <= pad < len(_TOUCH) else -1
        else:
            pad = pin = number
        setting = self._registers.get(_PADS[self._chip] + 4 * pad, 0)
        return pin if pin >= 0 and setting & _MUX and setting & _INPUT else None

    def _register(self, offset: int) -> int:
        model = self.model
        if offset == _IO_BASE + 0x24:
            if model.clock and not self._registers.get(model.clock, 0) >> 31:
                return 0
            value = 0
            for number in range(32 - model.first_input):
                pin = self._pin(number)
                if pin is not None and self._level(pin):
                    value |= 1 << number + model.first_input
            return value
        if offset == _CNTL_BASE + model.low_power:
            return int(self._sleeping()) << 19
        return self._registers.get(offset, 0)

    def _run(self) -> int:
        """From the entry to HALT; cycles that it took."""
        registers, pc, zero, cycles = [0, 0, 0, 0], self._entry, False, 0
        overflow = False
        for _ in range(_MOST):
            word: int = struct.unpack_from("<I", self.memory, pc * 4)[0]
            opcode, pc = word >> 28, pc + 1
            if opcode == 11:
                return cycles + 2
            if opcode == 7 and self._sub(word) < 2:
                cycles += 6
                zero, overflow = self._alu(word, registers)
            elif opcode == 8:
                cycles += 4
                if self._sub(word) != self.model.jump:
                    return self._stop(f"jump {word:#010x}", cycles)
                kind = word >> 22 & 7
                if kind == 0 or (kind == 1 and zero) or (kind == 2 and overflow):
                    pc = registers[word & 3] & 0x7FF if word >> 21 & 1 else word >> 2 & 0x7FF
            elif opcode == 13:
                cycles += 8
                at = (registers[word >> 2 & 3] + (word >> 10 & 0x7FF)) % (MEMORY // 4) * 4
                registers[word & 3] = struct.unpack_from("<H", self.memory, at)[0]
            elif opcode == 6:
                cycles += 8
                self._store(word, registers, pc - 1)
            elif opcode in (1, 2):
                cycles += 12 if opcode == 1 else 8
                self._peripheral(opcode, word, registers)
            elif opcode == 9 and word & 1:
                cycles += 6
                if self._sleeping():
                    self._wake()
            else:
                return self._stop(f"instruction {word:#010x}", cycles)
        return self._stop("no HALT", cycles)

    def _stop(self, what: str, cycles: int) -> int:
        self.fault = f"ULP: {what}"
        return cycles

    def _sub(self, word: int) -> int:
        # The sub-opcode: what is left between its first bit and the opcode.
        return (word & 0x0FFF_FFFF) >> self.model.sub

    def _alu(self, word: int, registers: list[int]) -> tuple[bool, bool]:
        left = registers[word >> 2 & 3]
        immediate = self._sub(word)
        right = word >> 4 & 0xFFFF if immediate else registers[word >> 4 & 3]
        operation = word >> 21 & 0xF
        if operation == _MOV:
            result = right if immediate else left
        else:
            result = {
                _ADD: lambda: left + right,
                _SUB: lambda: left - right,
                _AND: lambda: left & right,
                _OR: lambda: left | right,
                _LSH: lambda: left << (right & 31),
                _RSH: lambda: left >> (right & 31),
            }[operation]()
        registers[word & 3] = result & 0xFFFF
        return not result & 0xFFFF, not 0 <= result <= 0xFFFF

    def _store(self, word: int, registers: list[int], pc: int) -> None:
        at = (registers[word >> 2 & 3] + (word >> 10 & 0x7FF)) % (MEMORY // 4) * 4
        value = registers[word & 3]
        if self.model.upper and word >> 7 & 3 == 3:
            struct.pack_into("<H", self.memory, at + 2 * (word >> 6 & 1), value)
        else:  # the upper half says where it was stored from
            struct.pack_into("<I", self.memory, at, pc << 21 | (word & 3) << 16 | value)

    def _peripheral(self, opcode: int, word: int, registers: list[int]) -> None:
        offset = (word >> 8 & 3) * 0x400 + (word & 0xFF) * 4
        low, high = word >> 18 & 31, word >> 23 & 31
        mask = (1 << high - low + 1) - 1
        if opcode == 2:
            registers[0] = self._register(offset) >> low & mask & 0xFFFF
        else:
            kept = self._registers.get(offset, 0) & ~(mask << low)
            self._registers[offset] = kept | (word >> 10 & 0xFF & mask) << low

    @property
    def idle_us(self) -> float:
        """How long a run takes that finds nothing, without the start of the clock, in us."""
        return self.idle_cycles * 1_000_000 / self.model.hertz
