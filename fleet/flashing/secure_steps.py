"""The irreversible steps of hardening a chip: what each burns, and how it shows in the eFuses."""

from enum import Enum
from typing import NamedTuple

from fleet.flashing.efuse_tool import KEY
from fleet.flashing.efuses import Fuses

Command = tuple[str, ...]
Commands = tuple[Command, ...]
EMPTY = bytes(32)


class State(Enum):
    """How far a step is. HALF: the power went while it was burnt; OTHERWISE: burnt by others."""

    AHEAD = "to do"
    HALF = "half done"
    DONE = "done"
    OTHERWISE = "burnt otherwise"


class DigestStep(NamedTuple):
    """The digest of a public signing key in a block of its own, to be read by all for ever."""

    name: str
    does: str
    undo: str
    block: str
    digest: str  # hexadecimal
    purpose: str = ""  # eFuse of the block's purpose; the ESP32 has none
    value: tuple[int, str] = (0, "")

    def state(self, fuses: Fuses) -> State:
        block = fuses.of(self.block)
        if block.data is None:
            return State.OTHERWISE
        purpose = fuses.of(self.purpose).raw if self.purpose else 0
        if block.data == EMPTY:
            return State.AHEAD if block.writeable and purpose == 0 else State.OTHERWISE
        if block.data.hex() != self.digest or purpose not in {0, self.value[0]}:
            return State.OTHERWISE
        return State.DONE if purpose == self.value[0] and not block.writeable else State.HALF

    def key(self) -> bytes | None:
        return bytes.fromhex(self.digest)

    def command(self) -> Command:
        if not self.purpose:
            # espefuse leaves BLOCK2 readable for secure_boot_v2, and protects it from writing.
            return ("burn-key", "secure_boot_v2", KEY)
        return ("burn-key", self.block, KEY, self.value[1])

    def finish(self, fuses: Fuses) -> Commands:
        return _purpose(self.purpose, self.value[0], fuses) + (
            (("write-protect-efuse", self.block),) if fuses.of(self.block).writeable else ()
        )


class FlashKeyStep(NamedTuple):
    """The chip's own key of flash encryption: nobody can read it, not even the chip's code."""

    name: str
    does: str
    undo: str
    block: str
    purpose: str = ""
    value: tuple[int, str] = (0, "")

    def state(self, fuses: Fuses) -> State:
        block = fuses.of(self.block)
        purpose = fuses.of(self.purpose).raw if self.purpose else 0
        if not block.readable and not block.writeable:
            return State.DONE if purpose == self.value[0] else State.OTHERWISE
        if block.data == EMPTY and block.writeable:
            return State.AHEAD if purpose == 0 else State.OTHERWISE
        # A key that can be read yet: ours, cut short, or somebody's who has a copy of it.
        return State.HALF if purpose in {0, self.value[0]} else State.OTHERWISE

    def key(self) -> bytes | None:
        return None  # made when it is burnt

    def command(self) -> Command:
        if not self.purpose:
            return ("burn-key", "flash_encryption", KEY)
        return ("burn-key", self.block, KEY, self.value[1])

    def finish(self, fuses: Fuses) -> Commands:
        block = fuses.of(self.block)
        return (
            _purpose(self.purpose, self.value[0], fuses)
            + ((("read-protect-efuse", self.block),) if block.readable else ())
            + ((("write-protect-efuse", self.block),) if block.writeable else ())
        )


class FuseStep(NamedTuple):
    """Single eFuses to their values; a bit that is set already stays."""

    name: str
    does: str
    undo: str
    values: tuple[tuple[str, int], ...]

    def state(self, fuses: Fuses) -> State:
        missing = self._missing(fuses)
        if not missing:
            return State.DONE
        for name, value in missing:
            fuse = fuses.of(name)
            if not fuse.writeable or fuse.raw & ~value:
                return State.OTHERWISE
        return State.AHEAD

    def key(self) -> bytes | None:
        return None

    def command(self) -> Command:
        return ("burn-efuse", *(w for name, value in self.values for w in (name, str(value))))

    def finish(self, fuses: Fuses) -> Commands:
        missing = self._missing(fuses)
        return (("burn-efuse", *(w for name, value in missing for w in (name, str(value)))),)

    def _missing(self, fuses: Fuses) -> list[tuple[str, int]]:
        return [(name, value) for name, value in self.values if fuses.of(name).raw != value]


class ProtectStep(NamedTuple):
    """An eFuse that nobody can write any more."""

    name: str
    does: str
    undo: str
    fuse: str

    def state(self, fuses: Fuses) -> State:
        return State.AHEAD if fuses.of(self.fuse).writeable else State.DONE

    def key(self) -> bytes | None:
        return None

    def command(self) -> Command:
        return ("write-protect-efuse", self.fuse)

    def finish(self, _fuses: Fuses) -> Commands:
        return (self.command(),)


class BootStep(NamedTuple):
    """Not burnt by us: the signed bootloader encrypts the flash, and then counts up this eFuse."""

    name: str
    does: str
    undo: str
    counter: str

    def state(self, fuses: Fuses) -> State:
        return State.DONE if fuses.of(self.counter).raw.bit_count() % 2 else State.AHEAD


BurnStep = DigestStep | FlashKeyStep | FuseStep | ProtectStep
Step = BurnStep | BootStep


def _purpose(fuse: str, value: int, fuses: Fuses) -> Commands:
    if not fuse or fuses.of(fuse).raw == value:
        return ()
    return (("burn-efuse", fuse, str(value)), ("write-protect-efuse", fuse))
