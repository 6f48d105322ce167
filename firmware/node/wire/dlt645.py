"""DL/T 645-2007, the protocol of electricity meters: frames and their BCD.

A frame is found by its length: its data may contain 68 and 16. Addresses are text of 12 digits as
on the meter's plate; on the wire the last two come first.
"""

ANY = "AAAAAAAAAAAA"  # whichever meter hears it (5.2.1): one meter on the line only
EVERY = "999999999999"  # broadcast: nobody answers
MAX_DATA = 200  # 5.2.5: of a read's answer; a write has 50 at most
OVERHEAD = 12  # bytes of a frame that are not data
MAX_FE = 16  # before a frame: the standard has 4, meters are seen to send more
WAKE = b"\xfe\xfe\xfe\xfe"  # may precede a frame (5.2.8)

READ, READ_MORE, READ_ADDRESS, WRITE, FREEZE, SET_TIME = 0x11, 0x12, 0x13, 0x14, 0x16, 0x08
CONTROL = 0x1C  # opens and closes the meter's own relay
_REPLY, _ERROR, _MORE = 0x80, 0x40, 0x20  # bits of the control code, 5.2.4


class Dlt645Error(ValueError):
    """The bytes are no frame, not the frame that was asked for, or hold no such number."""


class Dlt645Refused(Dlt645Error):
    """The meter answered that it does not; `code` is its error byte (annex C)."""

    def __init__(self, code: int) -> None:
        super().__init__("the meter refuses: error %02x" % code)
        self.code = code


def encode(address: str, control: int, data: bytes = b"") -> bytes:
    """A frame without the bytes that wake the meter."""
    if not 0 <= control <= 255 or len(data) > MAX_DATA:
        raise Dlt645Error("a control code of one byte, and up to 200 bytes of data")
    body = bytes((0x68,)) + _flat(address) + bytes((0x68, control, len(data)))
    body += bytes([byte + 0x33 & 255 for byte in data])
    return body + bytes((sum(body) & 255, 0x16))


def decode(frame: bytes) -> "tuple[str, int, bytes]":
    """(address, control, data) of one whole frame, bytes of FE before it allowed.

    Dlt645Error for anything else. Total.
    """
    start = 0
    while start < len(frame) and start < MAX_FE and frame[start] == 0xFE:
        start += 1
    frame = frame[start:]
    if not frame or length(frame) != len(frame):
        raise Dlt645Error("cut short, or more than one frame")
    if sum(frame[:-2]) & 255 != frame[-2]:
        raise Dlt645Error("wrong checksum")
    if frame[-1] != 0x16:
        raise Dlt645Error("does not end with 16")
    return _text(frame[1:7]), frame[8], bytes([byte - 0x33 & 255 for byte in frame[10:-2]])


def length(data: bytes) -> int:
    """How many bytes the frame that begins with `data` has, 0 while that cannot be told yet.

    Dlt645Error when no frame begins so.
    """
    if data and data[0] != 0x68:
        raise Dlt645Error("does not begin with 68")
    if len(data) > 7 and data[7] != 0x68:
        raise Dlt645Error("no 68 behind the address")
    if len(data) < 10:
        return 0
    if data[9] > MAX_DATA:
        raise Dlt645Error("%d bytes of data: 200 at most" % data[9])
    return OVERHEAD + data[9]


def read_request(address: str, item: int, more: int = -1) -> bytes:
    """A request for the data `item`, 0x00010000 for active energy; with `more`, 1..255, for what
    follows it as that part (12).
    """
    if not 0 <= item <= 0xFFFFFFFF or more > 255:
        raise Dlt645Error("data has 4 bytes, a part one")
    wanted = item.to_bytes(4, "little")
    if more < 0:
        return encode(address, READ, wanted)
    return encode(address, READ_MORE, wanted + bytes((more,)))


def read_reply(frame: bytes, address: str, item: int, more: int = -1) -> "tuple[bytes, bool]":
    """The data that answers `read_request` with the same arguments, and whether more follows.

    Dlt645Refused when the meter has no such data, Dlt645Error for all that is not this answer.
    """
    sender, control, data = decode(frame)
    function = READ if more < 0 else READ_MORE
    answers(sender, control, data, address, function)
    end = len(data) if more < 0 else len(data) - 1
    if end < 4 or int.from_bytes(data[:4], "little") != item:
        raise Dlt645Error("an answer about something else")
    if more >= 0 and data[end] != more:
        raise Dlt645Error("another part than was asked for")
    return data[4:end], bool(control & _MORE)


def read_address_request() -> bytes:
    """Asks the one meter on the line who it is."""
    return encode(ANY, READ_ADDRESS)


def read_address_reply(frame: bytes) -> str:
    """The address of the meter that answers."""
    sender, control, data = decode(frame)
    answers(sender, control, data, ANY, READ_ADDRESS)
    if len(data) != 6 or _text(data) != sender:
        raise Dlt645Error("no address")
    return sender


def answers(sender: str, control: int, data: bytes, address: str, function: int) -> None:
    """Nothing, when this is what `address` may say to `function`; Dlt645Refused for a refusal."""
    if not matches(sender, address):
        raise Dlt645Error("%s answers for %s" % (sender, address))
    if control == function | _REPLY | _ERROR and len(data) == 1:
        raise Dlt645Refused(data[0])
    if control | _MORE != function | _REPLY | _MORE:
        raise Dlt645Error("another answer: control %02x" % control)


def matches(sender: str, address: str) -> bool:
    """Whether `sender`, digits only, is meant by `address`, in which AA is any two digits."""
    if not sender.isdigit():
        return False
    for place in range(0, 12, 2):
        want = address[place : place + 2]
        if want != "AA" and want != sender[place : place + 2]:
            return False
    return True


def bcd(data: bytes, signed: bool = False) -> int:
    """A number in BCD, low byte first; `signed`: the highest bit says that it is negative.

    Dlt645Error where a digit is none: a meter fills with FF what it does not measure.
    """
    value = 0
    sign = 1
    last = len(data) - 1
    for place in range(last, -1, -1):
        byte = data[place]
        if signed and place == last and byte & 0x80:
            byte &= 0x7F
            sign = -1
        if byte & 15 > 9 or byte >> 4 > 9:
            raise Dlt645Error("%02x is no BCD" % data[place])
        value = value * 100 + (byte >> 4) * 10 + (byte & 15)
    return sign * value


def _flat(address: str) -> bytes:
    if len(address) != 12:
        raise Dlt645Error("an address has 12 digits")
    flat = []
    for place in range(10, -1, -2):
        pair = address[place : place + 2]
        if pair == "AA":
            flat.append(0xAA)
        else:
            for digit in pair:
                if digit not in "0123456789":
                    raise Dlt645Error("an address has digits, or AA for any two")
            flat.append(int(pair, 16))
    return bytes(flat)


def _text(flat: bytes) -> str:
    text = ""
    for byte in flat:
        if byte != 0xAA and (byte & 15 > 9 or byte >> 4 > 9):
            raise Dlt645Error("%02x is no digit of an address" % byte)
        text = "%02X" % byte + text
    return text
