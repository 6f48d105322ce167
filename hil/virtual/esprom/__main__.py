"""`python -m hil.virtual.esprom --chip esp32s3 FOLDER`: a bare board, whose port it prints."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from hil.virtual.esprom import bare
from hil.virtual.esprom.efuse import EfuseError
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.nor import NorError
from hil.virtual.esprom.rig import Switches
from hil.virtual.esprom.silicon import SILICON
from hil.virtual.esprom.wire import WireError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hil.virtual.esprom", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chip", choices=sorted(SILICON), default="esp32s3")
    parser.add_argument("--mac", type=bytes.fromhex, default=bytes.fromhex("3c71bf4a0b1c"))
    parser.add_argument("--flash-mib", type=int, choices=(1, 2, 4, 8, 16), default=4)
    parser.add_argument("--pace", choices=("real", "none"), default="none")
    parser.add_argument("--link-baud", type=int, default=0, help="0: the host's rate")
    parser.add_argument("--stay", action="store_true", help="a close does not reset the board")
    parser.add_argument("--no-auto-strap", action="store_true")
    parser.add_argument("--in-loader", action="store_true", help="begin in download mode")
    parser.add_argument("--flip-at", type=lambda text: int(text, 0))
    parser.add_argument("--nak-blocks", type=int, default=0)
    parser.add_argument("--unplug-after", type=int, metavar="BYTES")
    parser.add_argument("--dies-at", type=int, metavar="PERCENT")
    parser.add_argument("--no-en-capacitor", action="store_true")
    parser.add_argument("--silent", action="store_true")
    return parser.parse_args()


async def _run(given: argparse.Namespace) -> None:
    faults = Faults(
        given.flip_at, given.nak_blocks, given.unplug_after, given.dies_at,
        given.no_en_capacitor, given.silent,
    )  # fmt: skip
    rig = bare.make(
        given.chip,
        given.folder,
        given.mac,
        flash_size=given.flash_mib << 20,
        paced=given.pace == "real",
        link_baud=given.link_baud,
        faults=faults,
        switches=Switches(auto_strap=not given.no_auto_strap, reset_on_close=not given.stay),
    )
    if given.in_loader:
        rig.enter_loader(say=False)
    # A name of its own, gone with the board: the number of a PTY is soon another board's, to
    # which a tool that waits for its port to come back would then write.
    port = given.folder / "port"
    port.unlink(missing_ok=True)
    port.symlink_to(rig.wire.name)
    rig.unplugged = lambda: port.unlink(missing_ok=True)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    served = asyncio.ensure_future(bare.serve(rig))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, served.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await served


def main() -> int:
    """Exit code."""
    try:
        asyncio.run(_run(_arguments()))
    except (EfuseError, NorError, WireError, OSError) as e:
        sys.stderr.write(f"esprom: {e}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
