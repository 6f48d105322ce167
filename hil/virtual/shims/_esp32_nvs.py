"""`esp32.NVS`: values live on the board; what was not committed is lost at a reset."""

import struct

import _link
import _ops


class NVS:
    def __init__(self, namespace):
        if not 0 < len(namespace) <= 15:
            raise OSError(-0x1106, "ESP_ERR_NVS_INVALID_NAME")
        self._space = namespace.encode() + b"\0"

    def _call(self, op, kind, key, value=None):
        if not 0 < len(key) <= 15:
            raise OSError(-0x1109, "ESP_ERR_NVS_KEY_TOO_LONG")
        name = self._space + key.encode()
        return _link.call(op, bytes((kind,)) + name + (b"" if value is None else b"\0" + value))

    def set_i32(self, key, value):
        if not -(1 << 31) <= value < 1 << 31:
            raise OverflowError("value out of range of i32")
        self._call(_ops.NVS_SET, _ops.INTEGER, key, struct.pack("<i", value))

    def get_i32(self, key):
        return struct.unpack("<i", self._call(_ops.NVS_GET, _ops.INTEGER, key))[0]

    def set_blob(self, key, value):
        self._call(_ops.NVS_SET, _ops.BLOB, key, bytes(value))

    def get_blob(self, key, buffer):
        value = self._call(_ops.NVS_GET, _ops.BLOB, key)
        if len(value) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        self._call(_ops.NVS_ERASE, 0, key)

    def commit(self):
        _link.call(_ops.NVS_COMMIT, b"\0" + self._space)
