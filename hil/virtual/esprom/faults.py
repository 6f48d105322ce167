"""What may go wrong on a board, to see what the tools make of it."""

from dataclasses import dataclass

LARGE = 65536  # `dies_at_percent` counts within the first transfer of at least so many bytes


@dataclass
class Faults:
    """Each happens once, and can be set again; `silent` and `no_en_capacitor` last.

    `flip_at`: address in flash whose lowest bit turns when it is next programmed.
    `nak_blocks`: so many data blocks are refused before they are written.
    `unplug_after`: the port vanishes once so many more bytes have come from the host.
    `dies_at_percent`: the port vanishes at this part of the next transfer of 64 KiB or more.
    `no_en_capacitor`: EN rises before the strap falls, so a reset always boots the application.
    `silent`: nothing is ever said, as without power.
    """

    flip_at: int | None = None
    nak_blocks: int = 0
    unplug_after: int | None = None
    dies_at_percent: int | None = None
    no_en_capacitor: bool = False
    silent: bool = False

    def take_flip(self, offset: int, length: int) -> int | None:
        """Where a bit turns within what was just programmed."""
        at = self.flip_at
        if at is None or not offset <= at < offset + length:
            return None
        self.flip_at = None
        return at

    def take_nak(self) -> bool:
        """Whether this data block is refused."""
        if self.nak_blocks <= 0:
            return False
        self.nak_blocks -= 1
        return True

    def take_death(self, size: int, written: int) -> bool:
        """Whether the board dies now, `written` of `size` bytes being programmed."""
        percent = self.dies_at_percent
        if percent is None or size < LARGE or written * 100 < size * percent:
            return False
        self.dies_at_percent = None
        return True
