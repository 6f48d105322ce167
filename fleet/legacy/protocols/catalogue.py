"""The five codecs by name, each behind the same functions. A codec is loaded when it is named."""

import importlib
from typing import Any, Protocol

from fleet.errors import Refusal
from fleet.legacy.protocols.frame import Frame, Value
from fleet.legacy.protocols.streams import Splitter

NAMES = ("cjt188", "dlt645", "hj212", "modbus", "sl651")


class Codec(Protocol):
    """What each codec's module has; `Any` is its own kind of Frame."""

    NAME: str
    VARIANTS: tuple[str, ...]

    def decode(self, frame: bytes, variant: str | None = None) -> Frame:
        """One whole frame; FrameError for all else. Total."""
        ...

    def encode(self, frame: Any, /) -> bytes:
        """The bytes of it."""
        ...

    def answer(self, frame: Any, /) -> bytes | None:
        """What a master station sends back; None where it sends nothing."""
        ...

    def values(self, frame: Any, /) -> list[Value]:
        """The readings in it."""
        ...

    def splitter(self) -> Splitter:
        """Cuts a stream into frames."""
        ...


class UnknownProtocol(Refusal):
    """No codec has that name."""


def codec(name: str) -> Codec:
    """The codec of that name; UnknownProtocol where there is none."""
    if name not in NAMES:
        raise UnknownProtocol(f"no protocol {name}: there are {', '.join(NAMES)}")
    module: Any = importlib.import_module(f"fleet.legacy.protocols.{name}")
    found: Codec = module
    return found
