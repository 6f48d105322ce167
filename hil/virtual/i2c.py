"""The board's I2C wires and what hangs on them."""

from typing import Protocol

from hil.virtual.net import NetError

_ENODEV = 19
_ETIMEDOUT = 116  # of the chip's C library: ESP-IDF gave up


class I2cDevice(Protocol):
    """A device at one address."""

    def transfer(self, written: bytes, size: int) -> bytes:
        """The master writes `written`, then reads `size` bytes. Returns at once."""


class I2cError(NetError):
    """Nobody acknowledged: the firmware sees an OSError with this number."""


class I2cBuses:
    """Devices by their wires (scl, sda) and address."""

    def __init__(self) -> None:
        self._devices: dict[tuple[int, int, int], I2cDevice] = {}
        self.dead = False  # somebody tore the cable

    def add(self, scl: int, sda: int, address: int, device: I2cDevice) -> None:
        """Hang a device on these pins."""
        self._devices[scl, sda, address] = device

    def transfer(self, payload: bytes) -> bytes:
        """The channel's request: scl, sda, address, bytes to read, bytes to write.

        The chip pulls its wires up: where nothing hangs on them, nobody acknowledges.
        """
        scl, sda, address, size = payload[:4]
        if self.dead:
            raise I2cError(_ETIMEDOUT)
        device = self._devices.get((scl, sda, address))
        if device is None:
            raise I2cError(_ENODEV)
        return device.transfer(payload[4:], size)[:size].ljust(size, b"\xff")
