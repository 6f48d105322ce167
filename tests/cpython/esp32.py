"""Stand-in for MicroPython's `esp32` where firmware modules are tested on CPython: NVS alone.

`flash` has what all NVS objects share. Its power may fail before and after every operation.
"""

from numbers_rig import Fuse

_NOT_FOUND = -0x1102
_NO_SPACE = -0x1105
_TOO_LONG = -0x1109
_INVALID_LENGTH = -0x110C
GONE = b"\xff erased"


class Flash:
    """`kept` outlives a reset. With `at_set` a value is kept when it is set, as ESP-IDF may;
    else by a commit. With `full`, set fails."""

    def __init__(self) -> None:
        self.kept: dict[str, int | bytes] = {}
        self.pending: dict[str, int | bytes] = {}
        self.at_set = False
        self.full = False
        self.fuse = Fuse()
        self.operations = 0

    def get(self, key: str) -> int | bytes:
        values = {**self.kept, **self.pending}
        if values.get(key, GONE) is GONE:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return values[key]

    def set(self, key: str, value: int | bytes) -> None:
        assert 0 < len(key) <= 15, _TOO_LONG
        if self.full:
            raise OSError(_NO_SPACE, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self.operations += 1
        self.fuse.pass_one()
        (self.kept if self.at_set else self.pending)[key] = value
        self.fuse.pass_one()

    def erase(self, key: str) -> None:
        self.get(key)
        self.operations += 1
        self.fuse.pass_one()
        if self.at_set:
            self.kept.pop(key)
        else:
            self.pending[key] = GONE
        self.fuse.pass_one()

    def commit(self) -> None:
        self.operations += 1
        self.fuse.pass_one()
        self.kept.update(self.pending)
        self.kept = {key: value for key, value in self.kept.items() if value is not GONE}
        self.pending.clear()
        self.fuse.pass_one()

    def reset(self) -> None:
        """The chip starts anew: what was not committed is gone."""
        self.fuse.left = None
        self.pending.clear()


flash = Flash()


class NVS:
    """As `esp32.NVS`, of one namespace, into `flash`."""

    def __init__(self, namespace: str) -> None:
        assert namespace == "kapok"

    def get_i32(self, key: str) -> int:
        value = flash.get(key)
        assert isinstance(value, int)
        return value

    def set_i32(self, key: str, value: int) -> None:
        assert -(1 << 31) <= value < 1 << 31
        flash.set(key, value)

    def get_blob(self, key: str, buffer: bytearray) -> int:
        value = flash.get(key)
        assert isinstance(value, bytes)
        if len(value) > len(buffer):
            raise OSError(_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def set_blob(self, key: str, value: bytes) -> None:
        flash.set(key, bytes(value))

    def erase_key(self, key: str) -> None:
        flash.erase(key)

    def commit(self) -> None:
        flash.commit()
