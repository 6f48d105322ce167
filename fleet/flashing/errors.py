"""What can go wrong between a port and a flashed board; each text is one line to be shown."""

from fleet.errors import Refusal


class FlashError(Refusal):
    """A board or its port cannot be used; the text says what is wrong, where, and what to do."""


class NoSuchPort(FlashError):
    """No port has this name or path."""


class PortDenied(FlashError):
    """The port exists, and this user may not open it."""


class PortBusy(FlashError):
    """Another process has the port."""


class BenchGone(FlashError):
    """The virtual bench does not answer on its control socket."""


class NoLoader(FlashError):
    """The chip does not answer in its ROM loader."""


class LinkLost(FlashError):
    """The chip answered, and then fell silent or the port went away."""


class WrongChip(FlashError):
    """Another chip than the board file names."""


class BoardChanged(FlashError):
    """Another board answers than the one that was identified."""


class SmallFlash(FlashError):
    """Less flash than the board file names."""


class Locked(FlashError):
    """The eFuses make what was asked for harmful: encryption, secure boot, secure download."""


class TooLarge(FlashError):
    """More data than the partition or the flash holds."""


class NotVerified(FlashError):
    """What was read back is not what was written."""


class JournalAtRisk(FlashError):
    """A journal on the board would be overwritten and could not be saved."""


class Interrupted(FlashError):
    """The user ended the run while this board was worked on."""
