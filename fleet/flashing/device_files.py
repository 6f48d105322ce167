"""Files of a board's littlefs, read over its loader a few blocks at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from littlefs import LittleFS, LittleFSError
from littlefs.context import UserContext

from fleet.flashing.errors import FlashError
from fleet.flashing.partitions import BLOCK

if TYPE_CHECKING:
    from littlefs.lfs import LFSConfig

SUPERBLOCKS = 2  # the root directory's pair: it tells whether there is anything to look for
WINDOW = 16  # blocks fetched at once behind those: one reset and change of rate serve for all
_MAGIC = b"littlefs"


class ReadOnly(FlashError):
    """littlefs wanted to write to the board."""


class DamagedFiles(FlashError):
    """The board's littlefs cannot be read."""


class DeviceContext(UserContext):
    """Block device of `count` blocks over `read(offset, size)`; what was read is kept.

    littlefs cannot pass an exception on: the first one is kept in `error`.
    """

    def __init__(self, count: int, read: Callable[[int, int], bytes]) -> None:
        super().__init__(buffer=bytearray())
        self._count = count
        self._read = read
        self._blocks: dict[int, bytes] = {}
        self.error: Exception | None = None

    def block(self, number: int) -> bytes:
        """One block, fetched with its neighbours where it is not here yet."""
        if number not in self._blocks:
            if number < SUPERBLOCKS:
                first, count = 0, SUPERBLOCKS
            else:
                first = max(number - number % WINDOW, SUPERBLOCKS)
                count = min(number - number % WINDOW + WINDOW, self._count) - first
            data = self._read(first * BLOCK, count * BLOCK)
            for i in range(count):
                self._blocks.setdefault(first + i, data[i * BLOCK : (i + 1) * BLOCK])
        return self._blocks[number]

    def read(self, cfg: "LFSConfig", block: int, off: int, size: int) -> bytearray:
        """As littlefs asks."""
        if self.error is not None or block >= self._count:
            return bytearray(b"\xff" * size)
        try:
            return bytearray(self.block(block)[off : off + size])
        except Exception as e:
            self.error = e
            return bytearray(b"\xff" * size)

    def prog(self, cfg: "LFSConfig", block: int, off: int, data: bytes) -> int:
        """Refused."""
        self.error = self.error or ReadOnly("reading a file system wanted to write to it")
        return 0

    def erase(self, cfg: "LFSConfig", block: int) -> int:
        """Refused."""
        return self.prog(cfg, block, 0, b"")


def read_folder(name: str, size: int, read: Callable[[int, int], bytes]) -> dict[str, bytes]:
    """The files of the folder `name` of the littlefs of `size` bytes; {} where there is none.

    `read(offset, size)` reads the partition. {} too where the partition holds no littlefs;
    DamagedFiles where it holds one that is damaged; what `read` raises.
    """
    context = DeviceContext(size // BLOCK, read)
    if not any(context.block(number)[8:16] == _MAGIC for number in range(SUPERBLOCKS)):
        return {}
    fs: Any = LittleFS(
        context, mount=False, block_size=BLOCK, block_count=size // BLOCK,
        read_size=32, prog_size=32, cache_size=128, lookahead_size=32,
    )  # fmt: skip
    files: dict[str, bytes] = {}
    try:
        fs.mount()
        if name in fs.listdir("/"):
            for entry in sorted(fs.scandir(f"/{name}"), key=lambda entry: entry.name):
                if entry.type == 1:  # LFS_TYPE_REG
                    with fs.open(f"/{name}/{entry.name}", "rb") as file:
                        files[entry.name] = file.read()
    except (LittleFSError, UnicodeDecodeError) as e:
        if context.error is None:
            raise DamagedFiles(str(e)) from None
    if context.error is not None:
        raise context.error
    return files
