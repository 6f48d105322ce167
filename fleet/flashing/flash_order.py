"""From a node type's name and a runtime to what is written: board file, regions, pieces."""

from pathlib import Path
from typing import NamedTuple

from fleet.flashing import built, hardware, layout, plan, runtime, runtime_cache
from fleet.flashing.errors import FlashError
from fleet.flashing.flash_board import Target as BoardTarget
from fleet.flashing.hardware import Board
from fleet.flashing.layout import Region
from fleet.flashing.plan import Plan
from fleet.flashing.ports import Port
from fleet.flashing.runtime import Runtime
from fleet.paths import firmware_dir
from fleet.releases import bundle, content, slots
from fleet.releases.slots import BuildError
from fleet.releases.target import Target
from fleet.wire import release


class OrderError(FlashError):
    """There is nothing to flash: no such node type, no runtime, or parts that do not fit."""


class Prepared(NamedTuple):
    """What the board must be, the runtime for it, and the role whose slot it gets; the pieces are
    still to be made. `image`: a released one, in place of what the sources give.
    """

    board: Board
    runtime: Runtime
    role: str
    image: bytes | None = None

    @property
    def target(self) -> BoardTarget:
        """For an order."""
        return BoardTarget(
            self.board.name, self.board.chip, self.board.flash_bytes, rows=tuple(self.board.table)
        )

    def make(self, firmware: Path | None, folder: Path) -> Plan:
        """Build the application and make the pieces in `folder`; OrderError.

        `firmware` None: the sources that ship. It takes seconds after a change of the sources.
        """
        try:
            return plan.make(self._regions(firmware), folder)
        except ValueError as e:
            raise OrderError(str(e)) from None

    def merged(self, firmware: Path | None) -> bytes:
        """The whole flash of a fresh board, NVS erased, for a programmer that knows no regions."""
        try:
            return layout.merged(self._regions(firmware), self.board.flash_bytes)
        except ValueError as e:
            raise OrderError(str(e)) from None

    def _regions(self, firmware: Path | None) -> list[Region]:
        try:
            files = built.build(firmware or firmware_dir(), Target(self.role, self.board.name))
            placed = dict(files.files)
            if self.image is not None:
                placed[slots.FILE] = self.image
            return layout.regions(self.board, self.runtime, placed, files.rescue)
        except (ValueError, BuildError) as e:
            raise OrderError(str(e)) from None


def _runtime(chip: str, ports: list[Port]) -> Runtime:
    """The runtime for the chip: of the bench where every port is virtual, else the cached one."""
    benches = {port.bench for port in ports}
    if len(benches) == 1 and all(port.virtual for port in ports):
        path = Path(benches.pop()) / f"runtime-{chip}.bin"
        if path.is_file():
            return runtime.load(path)
    return runtime_cache.best(chip)


def prepare(
    node_type: str, image: Path | None, ports: list[Port], released: Path | None = None
) -> Prepared:
    """Look up the board and the runtime; OrderError with the line of what is wrong.

    `image` None: the runtime that there is. `released`: a bundle whose application the boards
    get; it is checked that it is for them, and not who signed it.
    """
    try:
        kind = hardware.load_node_type(node_type)
        board = hardware.load_board(kind.board)
        found = runtime.load(image) if image else _runtime(board.chip, ports)
        runtime.check(found, board.chip)
    except ValueError as e:
        raise OrderError(str(e)) from None
    prepared = Prepared(board, found, kind.role)
    return prepared if released is None else prepared._replace(image=_released(prepared, released))


def _released(prepared: Prepared, path: Path) -> bytes:
    read = bundle.read(path)
    says = content.check(read)
    for what, wanted, own in (("role", says.role, prepared.role),
                              ("board", says.board, prepared.board.name)):  # fmt: skip
        if wanted not in ("", own):
            raise OrderError(f"{path}: release {says.sequence} is for {what} {wanted}, not {own}")
    if release.APPLICATION not in read.components:
        raise OrderError(f"{path}: release {says.sequence} has no application")
    return read.components[release.APPLICATION]
