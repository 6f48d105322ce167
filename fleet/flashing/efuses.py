"""The eFuses of a chip as `espefuse summary --format json` tells them. Nothing here burns."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from fleet.errors import Refusal
from fleet.wire import nodeid

MAX_CHARACTERS = 500_000
_MAC = re.compile(r"([0-9a-f]{2}(:[0-9a-f]{2}){5}) ")
_BLOCK = re.compile(r"[0-9a-f]{2}( [0-9a-f]{2}){31}")


class SecureError(Refusal, ValueError):
    """Refused, or the chip is not as it must be; the text says what and what to do."""


class Fuse(NamedTuple):
    """One field. `raw` 0 while it cannot be read; `text` as espefuse prints it."""

    raw: int
    text: str
    readable: bool
    writeable: bool

    @property
    def data(self) -> bytes | None:
        """The 32 bytes of a key block in the order of a key file; None when not to be read."""
        if not self.readable or not _BLOCK.fullmatch(self.text):
            return None
        return bytes.fromhex(self.text)


class Fuses(NamedTuple):
    """All fields of a chip by name."""

    fields: Mapping[str, Fuse]

    def of(self, name: str) -> Fuse:
        """A field; SecureError when this chip has none of that name."""
        if name not in self.fields:
            raise SecureError(f"this chip has no eFuse {name}: is it the board that was named?")
        return self.fields[name]

    @property
    def node_id(self) -> str:
        """The node id of the chip's base MAC."""
        found = _MAC.match(self.of("MAC").text + " ")
        if found is None:
            raise SecureError("the chip's MAC cannot be read from its eFuses")
        return nodeid.from_mac(bytes.fromhex(found[1].replace(":", "")))


def parse(output: str) -> Fuses:
    """What the summary says, behind whatever espefuse printed before it."""
    start = output.find("\n{\n") + 1  # what is said of a burn may have braces too
    try:
        if not start or len(output) > MAX_CHARACTERS:
            raise ValueError
        raw, _end = json.JSONDecoder().raw_decode(output[start:])
        if not isinstance(raw, dict) or not raw:
            raise ValueError
        return Fuses({name: _fuse(one) for name, one in raw.items()})
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SecureError("espefuse's summary cannot be read: is it esptool 5.6?") from None


def _fuse(one: Any) -> Fuse:
    readable, writeable = one["readable"], one["writeable"]
    if not isinstance(readable, bool) or not isinstance(writeable, bool):
        raise TypeError
    return Fuse(int(one["raw_value"], 16), str(one["value"]), readable, writeable)
