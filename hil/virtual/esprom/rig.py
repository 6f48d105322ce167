"""A board's USB port: one line that the application and the ROM loader share, and the reset."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hil.virtual.esprom.effects import Effect, Leave
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.loader import Loader
from hil.virtual.esprom.strap import SyncWatch
from hil.virtual.esprom.wire import Wire

HOLD_S = 0.05  # the longest that bytes which may begin a SYNC are kept from the application
DOWNLOAD_LOG = {  # what the ROM says in download mode, which esptool and people look for
    "esp32": "rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
    "esp32s3": "rst:0x1 (POWERON),boot:0x0 (DOWNLOAD(USB/UART0))",
    "esp32c3": "rst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0/1))",
}


class Application(Protocol):
    """What runs when the loader does not."""

    def halt(self) -> None:
        """Stop at once and stay on; the loader has the flash from now on."""

    def boot(self) -> None:
        """Begin, out of the loader or with the power."""

    def reset(self) -> None:
        """EN while it runs."""

    def cut(self) -> None:
        """The power goes, whatever it does."""

    async def gone(self) -> None:
        """Wait until nothing is left of it after `cut`."""

    def type_in(self, data: bytes) -> None:
        """Bytes from the host."""

    def opened(self) -> None:
        """A host has opened the port."""


@dataclass
class Switches:
    """What the rig does of its own accord, since a PTY has no DTR and RTS.

    `auto_strap`: a SYNC that the ROM's loader does not hear resets into it: while the application
    or the stub runs, or at another rate.
    `reset_on_close`: when the last host closes the port of a board in the loader, the
    application boots. `heed_baud`: bytes at another rate than the chip's are noise.
    `wake_on_open`: opening the port resets a board in deep sleep, as USB bridges on Linux do.
    """

    auto_strap: bool = True
    reset_on_close: bool = True
    heed_baud: bool = True
    wake_on_open: bool = True


class Rig:
    """A board is in `app`, in `loader`, or `off`. `unplugged` is called when the port vanishes."""

    def __init__(
        self,
        chip: str,
        wire: Wire,
        loader: Loader,
        faults: Faults,
        application: Application,
        switches: Switches | None = None,
        *,
        download_allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.state = "off"
        self.faults = faults
        self.wire = wire
        self.switches = switches or Switches()
        self.unplugged: Callable[[], object] = lambda: None
        self._chip = chip
        self._loader = loader
        self._application = application
        self._download_allowed = download_allowed
        self._loop = asyncio.get_running_loop()
        self._watch = SyncWatch()
        self._flush: asyncio.TimerHandle | None = None
        wire.heard = self._heard
        wire.opened = self._opened
        wire.closed = self._closed

    def put(self, application: Application) -> None:
        """Another board's application; the one before is off and gone."""
        self._application = application

    # What people and the control socket do

    def power_on(self) -> None:
        """Plug it in where it is not; the application boots."""
        if not self.wire.plugged:
            self.wire.plug()
        if self.state == "off":
            self.state = "app"
            self._application.boot()

    def power_off(self) -> None:
        """Unplug it: the port vanishes."""
        if self.state == "off":
            return
        self._application.cut()
        self.state = "off"
        self.wire.unplug()
        self.unplugged()

    def reset(self) -> None:
        """EN: into the application, whatever it did before."""
        self._into_app()

    def enter_loader(self, *, say: bool = True) -> bool:
        """EN with the strap low. False where the chip boots its application all the same."""
        if self.state == "off":
            return False
        if self.faults.no_en_capacitor or not self._download_allowed():
            self._into_app()
            return False
        if self.state == "app":
            self._application.halt()
        self.wire.drop()
        self._loader.reset()
        self._watch.give_up()
        self.state = "loader"
        if say and not self.faults.silent:
            self.wire.send(f"\r\n{DOWNLOAD_LOG[self._chip]}\r\nwaiting for download\r\n".encode())
        return True

    def say(self, data: bytes) -> None:
        """What the application prints; in download mode nobody does."""
        if self.state == "app" and not self.faults.silent:
            self.wire.send(data)

    def _into_app(self) -> None:
        if self.state == "off":
            return
        before, self.state = self.state, "app"
        self.wire.drop()
        self._loader.reset()
        if before == "app":
            self._application.reset()
        else:
            self._application.boot()

    # What the line does

    def _opened(self) -> None:
        if self.state == "app" and self.switches.wake_on_open:
            self._application.opened()

    def _closed(self) -> None:
        if self.state == "loader" and self.switches.reset_on_close:
            self._into_app()

    def _heard(self, data: bytes) -> None:
        left = self.faults.unplug_after
        if left is not None:
            self.faults.unplug_after = left - len(data)
            if left <= len(data):
                self.faults.unplug_after = None
                self._take(data[:left])
                self.power_off()
                return
        self._take(data)

    def _take(self, data: bytes) -> None:
        if self.state == "off" or self.faults.silent:
            return
        # A SYNC for the stub, or one at another rate, is from a host that has pulled EN before:
        # see `Switches.auto_strap`.
        if self.state == "app":
            if not self.switches.auto_strap:
                self._application.type_in(data)
                return
            typed, sync = self._watch.feed(data)
            if typed:
                self._application.type_in(typed)
            self._hold()
            if sync is None or not self.enter_loader(say=False):
                return
            data = sync
        elif self.switches.auto_strap and (self._loader.stub or self._deaf()):
            _, sync = self._watch.feed(data)
            if sync is not None and self.enter_loader(say=False):
                data = sync
        self._run(data)

    def _deaf(self) -> bool:
        chip, host = self._loader.baud, self.wire.baud
        return bool(chip and host) and abs(chip - host) * 100 > 3 * chip

    def _hold(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        self._flush = self._loop.call_later(HOLD_S, self._let_go)

    def _let_go(self) -> None:
        self._flush = None
        held = self._watch.give_up()
        if held and self.state == "app":
            self._application.type_in(held)

    def _run(self, data: bytes) -> None:
        now = int(self._loop.time() * 1_000_000)
        baud = self.wire.baud if self.switches.heed_baud else 0
        for effect in self._loader.feed(data, now, baud):
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        at = effect.due_us / 1_000_000
        if not isinstance(effect, Leave):
            self.wire.send(effect.data, at)
        elif effect.to == "dead":
            self.power_off()
        elif effect.to == "rom":
            # The answer on the line is still to go: only the loader's state begins anew.
            self._loader.reset()
        else:
            # As above: the host must get the answer before the application speaks.
            self._loop.call_later(0.02, self._left)

    def _left(self) -> None:
        if self.state == "loader":
            self._into_app()
