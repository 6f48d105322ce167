"""From a node type's name and a runtime to what is written: board file, regions, pieces."""

from pathlib import Path
from typing import NamedTuple

from fleet.flashing import built, hardware, layout, plan, runtime, runtime_cache
from fleet.flashing.errors import FlashError
from fleet.flashing.flash_board import Target
from fleet.flashing.plan import Plan
from fleet.flashing.ports import Port
from fleet.flashing.runtime import Runtime
from fleet.paths import firmware_dir
from fleet.releases.slots import BuildError


class OrderError(FlashError):
    """There is nothing to flash: no such node type, no runtime, or parts that do not fit."""


class Made(NamedTuple):
    """What the board must be, what is written to it, and the runtime in that."""

    target: Target
    plan: Plan
    runtime: Runtime


def _runtime(chip: str, ports: list[Port]) -> Runtime:
    """The runtime for the chip: of the bench where every port is virtual, else the cached one."""
    benches = {port.bench for port in ports}
    if len(benches) == 1 and all(port.virtual for port in ports):
        path = Path(benches.pop()) / f"runtime-{chip}.bin"
        if path.is_file():
            return runtime.load(path)
    return runtime_cache.best(chip)


def build(
    node_type: str, image: Path | None, firmware: Path | None, ports: list[Port], folder: Path
) -> Made:
    """Make the pieces in `folder`; OrderError with the line of the part that fails.

    `image` and `firmware` None: the runtime that there is, and the sources that ship.
    """
    try:
        board = hardware.load_board(hardware.load_node_type(node_type).board)
        found = runtime.load(image) if image else _runtime(board.chip, ports)
        runtime.check(found, board.chip)
        files = built.build(firmware or firmware_dir())
        made = plan.make(layout.regions(board, found, files.files, files.rescue), folder)
    except (ValueError, BuildError) as e:
        raise OrderError(str(e)) from None
    return Made(Target(board.name, board.chip, board.flash_bytes), made, found)
