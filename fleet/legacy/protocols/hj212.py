"""HJ 212-2017 and HJ/T 212-2005: packets of pollution and environment monitors.

`##`, four digits of length, the data, four hexadecimal digits of CRC, CR LF. Strict; some fielded
devices send the CRC of MODBUS, which is taken by a variant only, and then said in every frame.
"""

from dataclasses import dataclass, field
from typing import Any

from fleet.legacy.protocols import crc, hj212_data, hj212_values, hj212_words
from fleet.legacy.protocols.frame import Frame, FrameError, Value, iso
from fleet.legacy.protocols.streams import Splitter as _Splitter

NAME = "hj212"
MODBUS_CRC = "modbus-crc"
VARIANTS = (MODBUS_CRC,)
MAX_DATA, OVERHEAD = 1024, 12

Groups = tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True, slots=True)
class Packet(Frame):
    """One packet. `groups` are the items of CP, each of (name, value) pairs in their order;
    `flag` None where the packet has none, which only that of 2005 allows, as do the empty `mn` and
    `pw` None of an answer; `variant` by which CRC it came and goes; `arrived` are length and CRC
    of the frame that was read: what was let pass in it makes them others than those of `encode`.
    """

    st: str
    cn: str
    mn: str
    groups: Groups = ()
    qn: str | None = None
    pw: str | None = None
    flag: int | None = None
    pnum: int | None = None
    pno: int | None = None
    extra: tuple[tuple[str, str], ...] = ()
    variant: str | None = None
    notes: tuple[str, ...] = field(default=())
    arrived: tuple[int, str] | None = field(default=None, compare=False)

    @property
    def sender(self) -> str:
        """The device's MN; empty in an answer of 2005 that has none."""
        return self.mn

    @property
    def wants_answer(self) -> bool:
        """Bit A of the flag."""
        return bool((self.flag or 0) & 1)

    @property
    def version(self) -> str:
        """ "2005", "2017", or "V2" and so on for a later standard."""
        number = (self.flag or 0) >> 2
        return {0: "2005", 1: "2017"}.get(number, f"V{number}")

    @property
    def kind(self) -> str:
        """request, upload, notice or answer."""
        return hj212_words.kind_of(self.cn, [name for group in self.groups for name, _ in group])

    def get(self, name: str) -> str | None:
        """The value of a name in CP, None where it is not there."""
        for group in self.groups:
            for key, value in group:
                if key == name:
                    return value
        return None

    def as_json(self) -> dict[str, Any]:
        """All fields by name."""
        size, check = self.arrived or _ends(encode(self))
        told: dict[str, Any] = {
            "protocol": NAME,
            "version": self.version,
            "kind": self.kind,
            "length": size,
            "qn": self.qn,
            "qn_time": iso(hj212_data.stamp(self.qn)) if self.qn else None,
            "st": self.st,
            "st_name": hj212_words.SYSTEMS.get(self.st, "not in the standard"),
            "cn": self.cn,
            "cn_name": hj212_words.command(self.cn, self.version),
            "pw": self.pw,
            "mn": self.mn or None,
            "flag": self.flag,
            "flag_bits": {
                "answer": self.wants_answer,
                "numbered": bool((self.flag or 0) & 2),
                "version": (self.flag or 0) >> 2,
            },
            "pnum": self.pnum,
            "pno": self.pno,
            "extra": dict(self.extra),
            "cp": [dict(group) for group in self.groups],
            "data_time": iso(hj212_data.stamp(self.get("DataTime") or "")),
        }
        for name, words in (("QnRtn", hj212_words.QN_RTN), ("ExeRtn", hj212_words.EXE_RTN)):
            code = self.get(name)
            if code is not None:
                told[name] = {"code": code, "name": words.get(code, "not in the standard")}
        told |= {
            "crc": check,
            "variant": self.variant,
            "values": [value.as_json() for value in values(self)],
            "notes": list(self.notes),
        }
        return told


def decode(frame: bytes, variant: str | None = None) -> Packet:
    """One whole packet; FrameError for all else. Total.

    `variant` "modbus-crc" takes that CRC beside the standard's; the packet tells which it was.
    """
    size = length(frame)
    if size == 0 or size > len(frame):
        raise FrameError(NAME, len(frame), f"cut short: {size or OVERHEAD} bytes expected")
    if size < len(frame):
        raise FrameError(NAME, size, f"{len(frame) - size} bytes behind the packet")
    used = _checked(frame, variant)
    notes = [f"variant: {used}"] if used else []
    if frame[-6:-2] != frame[-6:-2].upper():
        notes.append("CRC in small letters")
    head, cp, more = hj212_data.parse(frame[6:-6])
    groups, told = hj212_data.groups(cp, len(frame) - 8 - len(cp.encode()))
    told += [f"{name}: no number" for name in hj212_values.not_numbers(groups)]
    return Packet(
        st=head.fields["ST"],
        cn=head.fields["CN"],
        mn=head.fields.get("MN", ""),
        groups=groups,
        qn=head.fields.get("QN"),
        pw=head.fields.get("PW"),
        flag=head.flag,
        pnum=head.pnum,
        pno=head.pno,
        extra=head.extra,
        variant=used,
        notes=(*notes, *more, *told),
        arrived=_ends(frame),
    )


def encode(packet: Packet) -> bytes:
    """The bytes of it; ValueError where the data would be longer than 1,024 bytes."""
    parts: list[tuple[str, str | int | None]] = [("QN", packet.qn), ("ST", packet.st)]
    parts += [
        ("CN", packet.cn),
        ("PW", packet.pw),
        ("MN", packet.mn or None),
        ("Flag", packet.flag),
    ]
    parts += [("PNUM", packet.pnum), ("PNO", packet.pno), *packet.extra]
    items = ";".join(",".join(f"{k}={v}" for k, v in group) for group in packet.groups)
    head = "".join(f"{name}={value};" for name, value in parts if value is not None)
    data = f"{head}CP=&&{items}&&".encode()
    if len(data) > MAX_DATA:
        raise ValueError(f"{len(data)} bytes of data: {MAX_DATA} at most, split it into packets")
    check = crc.modbus(data) if packet.variant == MODBUS_CRC else crc.hj212(data)
    return b"##%04d%b%04X\r\n" % (len(data), data, check)


def answer(packet: Packet) -> bytes | None:
    """What a master station answers: 9014 to data, 9013 to a notice, where bit A asks for it.

    The answer has the packet's QN; that of 2005 stands in CP. By the CRC that the device uses.
    """
    cn = {"upload": "9014", "notice": "9013"}.get(packet.kind)
    if cn is None or not packet.wants_answer:
        return None
    flag = (packet.flag or 0) & ~3
    made = Packet("91", cn, packet.mn, (), packet.qn, packet.pw, flag, variant=packet.variant)
    if flag == 0:
        told: list[tuple[tuple[str, str], ...]] = [(("CN", packet.cn),)]
        if packet.qn:
            told.insert(0, (("QN", packet.qn),))
        groups = tuple(told)
        made = Packet("91", cn, packet.mn, groups, None, packet.pw, flag, variant=packet.variant)
    return encode(made)


def values(packet: Packet) -> list[Value]:
    """The readings in it, by factor and kind: "w01018-Rtd"."""
    return hj212_values.values(packet.cn, packet.groups)


def length(head: bytes) -> int:
    """How many bytes the packet that begins so has, 0 while that cannot be told yet."""
    if not b"##".startswith(head[:2]):
        raise FrameError(NAME, 0, "does not begin with ##")
    digits = head[2:6]
    if digits and not (digits.isascii() and digits.isdigit()):
        raise FrameError(NAME, 2, "the length is no four digits")
    if len(digits) < 4:
        return 0
    size = int(digits)
    if size > MAX_DATA:
        raise FrameError(NAME, 2, f"{size} bytes of data: {MAX_DATA} at most")
    return OVERHEAD + size


def splitter(variant: str | None = None) -> _Splitter:
    """Cuts what a device sends into packets."""
    longest = OVERHEAD + MAX_DATA
    return _Splitter(b"##", longest, length, lambda raw: _checked(raw, variant), between=b"\r\n")


def _ends(frame: bytes) -> tuple[int, str]:
    """(bytes of data, CRC) of a good frame."""
    return len(frame) - OVERHEAD, frame[-6:-2].decode().upper()


def _checked(frame: bytes, variant: str | None) -> str | None:
    """The variant that was needed; FrameError where end or CRC are wrong."""
    end = len(frame)
    if frame[-2:] != b"\r\n":
        raise FrameError(NAME, end - 2, "does not end with CR LF")
    text = frame[-6:-2]
    if any(byte not in b"0123456789ABCDEFabcdef" for byte in text):
        raise FrameError(NAME, end - 6, "the CRC is no four hexadecimal digits")
    told, data = int(text, 16), frame[6:-6]
    computed = crc.hj212(data)
    if told == computed:
        return None
    if told == crc.modbus(data):
        if variant == MODBUS_CRC:
            return MODBUS_CRC
        hint = f"that is the CRC of MODBUS, variant {MODBUS_CRC} takes it"
        raise FrameError(NAME, end - 6, f"CRC {told:04X}, computed {computed:04X}: {hint}")
    raise FrameError(NAME, end - 6, f"CRC {told:04X}, computed {computed:04X}")
