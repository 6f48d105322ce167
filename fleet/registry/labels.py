"""The text of a label's QR code: `kapok:<node id>;imei=…;iccid=…;c=hhhh`, made and read.

`c` is the CRC-16 of all before it (polynomial 0x1021, ITU-T V.41, start 0): it tells every single
wrong character and every two that changed places, of a text that somebody typed.
"""

import binascii
import re
from typing import NamedTuple

from fleet.registry.luhn import luhn
from fleet.registry.operations import RegistryError
from fleet.wire import nodeid

MAX_CHARACTERS = 100  # the longest label has 71
_SHAPE = re.compile(
    r"(kapok:(?P<node>[0-9a-z]{10})(;imei=(?P<imei>[0-9]{15}))?(;iccid=(?P<iccid>89[0-9]{17,18}))?)"
    r";c=(?P<check>[0-9a-f]{4})"
)


class LabelError(RegistryError):
    """No label of ours; the text says what was wrong and what to do."""


class LabelText(NamedTuple):
    """What a label says; `imei` (15 digits) and `iccid` (19 or 20 digits) empty if unknown."""

    node_id: str
    imei: str = ""
    iccid: str = ""

    def encode(self) -> str:
        """The text that the QR code carries: ASCII, 71 characters at most."""
        text = f"kapok:{self.node_id}"
        if self.imei:
            text += f";imei={self.imei}"
        if self.iccid:
            text += f";iccid={self.iccid}"
        return f"{text};c={_check(text)}"

    def typed(self) -> str:
        """The shortest text that stands for this node, for whoever has no scanner."""
        return LabelText(self.node_id).encode()


def parse(text: str) -> LabelText:
    """What a scanned or typed text says; LabelError for any other. Case does not matter."""
    if len(text) > MAX_CHARACTERS:
        raise LabelError(f"{len(text)} characters are no label: one has at most 71")
    lower = text.strip(" \t\r\n").lower()
    found = _SHAPE.fullmatch(lower) if text.isascii() else None
    if found is None:
        raise LabelError(f"{lower[:80]!r} is no label: kapok:<node id>;imei=…;iccid=…;c=hhhh")
    if _check(found[1]) != found["check"]:
        raise LabelError(f"{lower!r} has a wrong character: its check is not {found['check']}")
    try:
        nodeid.to_mac(found["node"])
    except nodeid.NodeIdError as e:
        raise LabelError(f"{found['node']!r} on the label is no node id: {e}") from None
    return LabelText(found["node"], found["imei"] or "", found["iccid"] or "")


def check_imei(digits: str) -> str:
    """`digits` if they are an IMEI with its check digit (3GPP TS 23.003, 6.2.1 and annex B)."""
    if not re.fullmatch("[0-9]{15}", digits):
        raise LabelError(f"IMEI {digits[:20]!r}: 15 digits, as AT+CGSN prints them")
    if not luhn(digits):
        raise LabelError(f"IMEI {digits}: a digit is wrong, or two are swapped: read it again")
    return digits


def check_iccid(digits: str) -> str:
    """`digits` if they are an ICCID with its check digit (ITU-T E.118, 4.1; 20 with China's)."""
    if not re.fullmatch("89[0-9]{17,18}", digits):
        raise LabelError(f"ICCID {digits[:24]!r}: 19 or 20 digits that begin with 89")
    if not luhn(digits):
        raise LabelError(f"ICCID {digits}: a digit is wrong, or two are swapped: read it again")
    return digits


def _check(text: str) -> str:
    return f"{binascii.crc_hqx(text.encode(), 0):04x}"
