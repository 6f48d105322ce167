"""An LIS2DH12 accelerometer: its registers, its two resolutions, its latched INT1 line.

ST, LIS2DH12 datasheet DS10949. What the firmware uses is modelled, at +-2 g; the rest of the
registers keep what is written.
"""

from collections.abc import Callable

Vector = tuple[int, int, int]
ADDRESS = 0x19
_WHO_AM_I, _CTRL_1, _CTRL_2, _CTRL_3, _CTRL_4, _CTRL_5 = 0x0F, 0x20, 0x21, 0x22, 0x23, 0x24
_REFERENCE, _STATUS, _OUT_X, _OUT_END = 0x26, 0x27, 0x28, 0x2E
_INT1_CFG, _INT1_SRC, _INT1_THS = 0x30, 0x31, 0x32
_LSB_MG = 16
_READ_ONLY = (_WHO_AM_I, _STATUS, _INT1_SRC)


class Lis2dh12:
    """`drive(level)` is told of its INT1 line; the world calls `turn` and `shake`."""

    def __init__(self, drive: Callable[[int], None] = lambda level: None) -> None:
        self._drive = drive
        self._felt: Vector = (0, 0, 1000)
        self._shaking = 0  # mg, of either sign in turns
        self._sign = 1
        self._registers = bytearray(64)
        self._registers[_WHO_AM_I] = 0x33
        self._registers[_CTRL_1] = 0x07  # powered down
        self._at = 0

    # The world

    def turn(self, x: int, y: int, z: int) -> None:
        """It lies another way from now on: what it feels at rest, in mg."""
        old, self._felt = self._felt, (x, y, z)
        self._jolt(tuple(abs(a - b) for a, b in zip(old, self._felt, strict=True)))

    def shake(self, mg: int) -> None:
        """It trembles by so much about what it felt; 0 ends it."""
        self._shaking = mg
        if mg:
            self._jolt((mg, mg, mg))

    @property
    def running(self) -> bool:
        """Whether it samples at all."""
        return self._registers[_CTRL_1] >> 4 != 0

    def _jolt(self, change: tuple[int, ...]) -> None:
        registers = self._registers
        filtered = registers[_CTRL_2] & 0x01
        felt = change if filtered else tuple(abs(mg) for mg in self._felt)
        if not self.running:
            return
        threshold = (registers[_INT1_THS] & 0x7F) * _LSB_MG
        high = [i for i in range(3) if registers[_INT1_CFG] >> (2 * i + 1) & 1]
        if any(felt[i] > threshold for i in high):
            registers[_INT1_SRC] |= 0x40
            if registers[_CTRL_3] & 0x40:
                self._drive(1)

    # The wire

    def transfer(self, written: bytes, size: int) -> bytes:
        """I2cDevice: a register's address, with its top bit those that follow; then its bytes."""
        step = 1
        if written:
            self._at, step = written[0] & 0x3F, written[0] >> 7
            for byte in written[1:]:
                self._write(self._at, byte)
                self._at += step
        out = bytearray()
        for _ in range(size):
            out.append(self._read(self._at))
            self._at += step
        return bytes(out)

    def _write(self, register: int, value: int) -> None:
        if register < 64 and register not in _READ_ONLY and not _OUT_X <= register < _OUT_END:
            self._registers[register] = value

    def _read(self, register: int) -> int:
        if _OUT_X <= register < _OUT_END:
            if register == _OUT_X:
                self._sign = -self._sign
            axis, high = divmod(register - _OUT_X, 2)
            value = self._output(axis) & 0xFFFF
            return value >> 8 if high else value & 0xFF
        value = self._registers[register] if register < 64 else 0
        if register == _STATUS:
            return 0x0F if self.running else 0
        if register == _INT1_SRC and value:
            self._registers[_INT1_SRC] = 0
            self._drive(0)
        return value

    def _output(self, axis: int) -> int:
        # Left-aligned: 12 bits of 1 mg, 10 of 4 mg, or 8 of 16 mg.
        if not self.running:
            return 0
        mg = max(-2048, min(self._felt[axis] + self._sign * self._shaking, 2047))
        if self._registers[_CTRL_1] & 0x08:
            return mg // 16 << 8
        return mg << 4 if self._registers[_CTRL_4] & 0x08 else mg // 4 << 6
