"""Words for a box itself, such as AT commands, on the connection that its meters share: a text
that is a frame of no protocol that any of these could obey.
"""

import re

from fleet.errors import Refusal
from fleet.legacy.protocols import crc

MOST = 160  # characters
_END = b"\r\n"
_WORDS = re.compile(rf"[ -~]{{1,{MOST}}}")
_ASCII_FRAME = re.compile(
    rb":((?:[0-9A-Fa-f]{2}){3,})\r\n"
)  # Modbus over serial line V1.02, 2.5.2


class NotWords(Refusal, ValueError):
    """A text that is not sent to a box."""


def only_words(text: str) -> bytes:
    """What to send for a text: it and CR LF. NotWords unless it is printable ASCII of 160
    characters at most that is no frame.

    So it ends none of CJ/T 188 and DL/T 645 (16h), and writes nothing by Modbus RTU, whose writing
    functions are below 20h; that it is no frame of that at all its CRC tells. Of what is printable
    there are Modbus ASCII, and packets of HJ 212.
    """
    if not _WORDS.fullmatch(text):
        raise NotWords(
            f"{text[:40]!r} is not sent to a box: 1 to {MOST} printable ASCII characters"
        )
    data = text.encode() + _END
    found = _ASCII_FRAME.search(data)
    if "##" in text:
        raise NotWords(f"{text[:40]!r} is not sent to a box: it may be a packet of HJ 212")
    if found is not None and sum(bytes.fromhex(found[1].decode())) & 0xFF == 0:
        raise NotWords(f"{text[:40]!r} is not sent to a box: it is a frame of Modbus ASCII")
    if crc.modbus(data[:-2]) == int.from_bytes(data[-2:], "little"):
        raise NotWords(f"{text[:40]!r} is not sent to a box: it is a frame of Modbus RTU")
    return data
