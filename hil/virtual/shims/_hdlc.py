"""PPP's frames on an asynchronous line (RFC 1662), for both ends of a virtual link.

The same file runs on MicroPython and on CPython.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
ADDRESS, CONTROL = 0xFF, 0x03
FCS_START, FCS_GOOD = 0xFFFF, 0xF0B8
MRU = 1500  # octets of a frame's information field (RFC 1661, 6.1)
_FRAME_MOST = MRU + 6  # with address, control, protocol and FCS


def fcs16(data: bytes, fcs: int = FCS_START) -> int:
    """The frame check sequence over `data`, not yet inverted (appendix C.2)."""
    for byte in data:
        fcs ^= byte
        for _ in range(8):
            fcs = fcs >> 1 ^ 0x8408 if fcs & 1 else fcs >> 1
    return fcs


def frame(protocol: int, payload: bytes) -> bytes:
    """A frame between two flags, uncompressed, all control characters escaped."""
    head = (ADDRESS, CONTROL, protocol >> 8, protocol & 0xFF)
    body = bytes(head) + payload
    fcs = fcs16(body) ^ 0xFFFF
    line = bytearray((FLAG,))
    for byte in body + bytes((fcs & 0xFF, fcs >> 8)):
        if byte < FLIP or byte in (FLAG, ESCAPE):
            line.append(ESCAPE)
            line.append(byte ^ FLIP)
        else:
            line.append(byte)
    line.append(FLAG)
    return bytes(line)


class Deframer:
    """Calls `on_frame(protocol, payload)`; `bad` counts what stood between flags and was no frame.

    Total and bounded: any bytes are taken. Nothing counts before the first flag. `accm` has a bit
    for each control character that the line may have put in (section 7.1).
    """

    def __init__(self, on_frame: "Callable[[int, bytes], None]") -> None:
        self.accm = 0xFFFFFFFF
        self.bad = 0
        self._on_frame = on_frame
        self._frame = bytearray()
        self._escaped = False
        self._lost = True  # until the next flag

    def feed(self, data: bytes) -> None:
        """The bytes that came next."""
        for byte in data:
            if byte == FLAG:
                self._end()
            elif self._lost or (byte < FLIP and self.accm >> byte & 1):
                pass
            elif len(self._frame) == _FRAME_MOST:
                self._lost = True
                self.bad += 1
            elif self._escaped:
                self._escaped = False
                self._frame.append(byte ^ FLIP)
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._frame.append(byte)

    def _end(self) -> None:
        body, aborted, lost = bytes(self._frame), self._escaped, self._lost
        self._frame = bytearray()
        self._escaped = self._lost = False
        if lost or not body:
            return
        if aborted or len(body) < 4 or fcs16(body) != FCS_GOOD:
            self.bad += 1
            return
        # Address and control, and the protocol's zero octet, may be left out (6.5 and 6.6).
        at = 2 if body[0] == ADDRESS and body[1] == CONTROL else 0
        protocol = body[at]
        at += 1
        if not protocol & 1 and at < len(body) - 2:
            protocol = protocol << 8 | body[at]
            at += 1
        if protocol & 1:
            self._on_frame(protocol, body[at:-2])
        else:
            self.bad += 1
