"""From a node type's name and a runtime to what is written: board file, regions, pieces."""

from pathlib import Path

from fleet.flashing import hardware, layout, plan, runtime
from fleet.flashing.errors import FlashError
from fleet.flashing.flash_board import Target
from fleet.flashing.plan import Plan
from fleet.flashing.ports import Port
from fleet.paths import firmware_dir
from fleet.releases import slots

__all__ = ["NoRuntime", "build", "find_runtime"]


class NoRuntime(FlashError):
    """There is no runtime image to flash."""


def find_runtime(chip: str, ports: list[Port]) -> Path:
    """The runtime for the chip: of the bench where every port is virtual, else the cached one."""
    benches = {port.bench for port in ports}
    if len(benches) == 1 and all(port.virtual for port in ports):
        path = Path(benches.pop()) / f"runtime-{chip}.bin"
        if path.is_file():
            return path
    raise NoRuntime(
        f"no MicroPython image for {chip}: --runtime FILE names one"
        " (micropython.org/download has them)"
    )


def build(
    node_type: str, image: Path | None, firmware: Path | None, ports: list[Port], folder: Path
) -> tuple[Target, Plan]:
    """What the board must be, and the pieces in `folder`. Errors of one line from each part.

    `image` and `firmware` None: the runtime and the sources that there are.
    """
    node = hardware.load_node_type(node_type)
    board = hardware.load_board(node.board)
    found = runtime.load(image or find_runtime(board.chip, ports), board.chip)
    files = slots.build(firmware or firmware_dir(), slots.cache_dir())
    made = plan.make(layout.regions(board, found, files), folder)
    vfs = next((row for row in board.table if row.label == "vfs"), None)
    return Target(board.name, board.chip, board.flash_bytes, vfs), made
