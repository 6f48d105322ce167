"""Which way is down, and whether somebody moved it: an LIS2DH12 accelerometer on I2C.

Registers: ST, LIS2DH12 datasheet DS10949, chapter 8. Asleep it looks at itself ten times a second
for some 4 uA, and its INT1 line wakes the node. OSError from any method: it does not answer.
"""

import time

import machine
from micropython import const

_ADDRESS = const(0x19)  # SA0 is high; 0x18 where it is low
_WHO_AM_I, _CTRL_1, _OUT_X = const(0x0F), const(0x20), const(0x28)
_INT1_CFG, _INT1_SRC, _INT1_THS = const(0x30), const(0x31), const(0x32)
_ITSELF = const(0x33)
_MANY = const(0x80)  # of a register's address: the next ones follow
_RUN = b"\x57\x00\x00\x88\x00"  # CTRL_1..5: 100 Hz, 12 bits of 1 mg, both bytes of one sample
# 10 Hz, low power, 8 bits of 16 mg; INT1 behind the high-pass filter, latched.
_WATCH = b"\x2f\x01\x40\x00\x08"
_SETTLE_MS = const(80)  # 7 samples from low power to 12 bits
_SAMPLE_MS = const(10)
_MEAN = const(8)
_LSB_MG = const(16)  # of the threshold, at +-2 g


class Tilt:
    """The sensor on these two pins. OSError when it is another one."""

    def __init__(self, scl: int, sda: int) -> None:
        self._i2c = machine.I2C(0, scl=machine.Pin(scl), sda=machine.Pin(sda), freq=100_000)
        if self._read(_WHO_AM_I, 1)[0] != _ITSELF:
            raise OSError(19)  # ENODEV

    def read(self) -> "tuple[int, int, int]":
        """What it feels along x, y, z in mg, the mean of 80 ms: at rest that points up."""
        self._run()
        sums = [0, 0, 0]
        for _ in range(_MEAN):
            for i, mg in enumerate(self._sample()):
                sums[i] += mg
        return (sums[0] // _MEAN, sums[1] // _MEAN, sums[2] // _MEAN)

    def peak(self, ms: int) -> int:
        """How far from its mean any axis goes within `ms`, in mg: a quake of 250 gal is 255."""
        self._run()
        samples = [self._sample() for _ in range(max(ms // _SAMPLE_MS, 1))]
        most = 0
        for axis in range(3):
            column = [sample[axis] for sample in samples]
            mean = sum(column) // len(column)
            most = max(most, max(column) - mean, mean - min(column))
        return most

    def arm(self, threshold_mg: int) -> None:
        """From now on INT1 goes high, and stays so until `moved`, once any axis changes by so
        much within a tenth of a second. 16 to 2032 mg.
        """
        self._i2c.writeto_mem(_ADDRESS, _CTRL_1 | _MANY, _WATCH)
        steps = min(max((threshold_mg + _LSB_MG - 1) // _LSB_MG, 1), 127)
        self._i2c.writeto_mem(_ADDRESS, _INT1_THS | _MANY, bytes((steps, 0)))
        self._i2c.writeto_mem(_ADDRESS, _INT1_CFG, b"\x2a")  # x, y or z high
        self._read(_CTRL_1 + 6, 1)  # REFERENCE: the filter begins at what it feels now
        self.moved()

    def moved(self) -> bool:
        """Whether it was moved since `arm` or the last question; lets go of INT1."""
        return bool(self._read(_INT1_SRC, 1)[0] & 0x40)

    def _run(self) -> None:
        self._i2c.writeto_mem(_ADDRESS, _CTRL_1 | _MANY, _RUN)
        time.sleep_ms(_SETTLE_MS)

    def _sample(self) -> "list[int]":
        time.sleep_ms(_SAMPLE_MS)
        raw = self._read(_OUT_X, 6)
        axes = []
        for i in (0, 2, 4):
            value = raw[i] | raw[i + 1] << 8
            axes.append((value - 65536 if value & 0x8000 else value) >> 4)
        return axes

    def _read(self, register: int, size: int) -> bytes:
        return self._i2c.readfrom_mem(_ADDRESS, register | _MANY, size)


def upright(counter: int, felt: "tuple[int, int, int]") -> "tuple[int, int, int]":
    """The direction that counts as upright: what was felt when `counter` last changed, kept in
    NVS. So `felt` is, on a new node or once the configuration counts on.
    """
    import esp32

    from node.config import NAMESPACE
    from node.wire import cbor

    nvs = esp32.NVS(NAMESPACE)
    buffer = bytearray(32)
    try:
        size = nvs.get_blob("tilt", buffer)
        known = cbor.decode(bytes(memoryview(buffer)[:size]))
    except (OSError, cbor.CborError):
        known = None
    if isinstance(known, list) and len(known) == 4 and known[0] == counter:
        return (known[1], known[2], known[3])
    nvs.set_blob("tilt", cbor.encode([counter, felt[0], felt[1], felt[2]]))
    nvs.commit()
    return felt
