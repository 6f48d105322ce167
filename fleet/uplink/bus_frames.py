"""A master station's bytes, cut into frames of the three protocols that gateways pass."""

from fleet.wire import cjt188, dlt645, modbus

MOST = 256  # bytes of a frame, and of what may wait for its rest


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames at the beginning of `data`, in order, and what is left for more bytes.

    Bytes that begin no frame are dropped. Total; what is left is at most MOST bytes.
    """
    frames = []
    while data:
        size = _length(data)
        if size < 0:
            data = data[1:]
        elif size == 0 or size > len(data):
            break
        else:
            frames.append(data[:size])
            data = data[size:]
    return frames, data[-MOST:]


def _length(data: bytes) -> int:
    """Bytes of the frame that `data` begins with; 0: more must come; -1: none begins here."""
    bare = data.lstrip(b"\xfe")
    wakes = len(data) - len(bare)
    if wakes > dlt645.MAX_FE:
        return -1
    if not bare:
        return 0
    try:
        if bare[0] != 0x68:
            return -1 if wakes else _modbus(data)
        if len(bare) >= 8 and not wakes and modbus.crc(bare[:6]) == bare[6] | bare[7] << 8:
            return 8  # a Modbus device of address 104
        if len(bare) < 8:
            return 0
        size = dlt645.length(bare) if bare[7] == 0x68 else cjt188.length(bare)
    except ValueError:
        return -1
    return wakes + size if size else 0


def _modbus(data: bytes) -> int:
    size = modbus.request_length(data)
    if (
        size
        and len(data) >= size
        and modbus.crc(data[: size - 2]) != (data[size - 2] | data[size - 1] << 8)
    ):
        return -1
    return size
