"""Looks into the journal of a virtual board's flash."""

from littlefs import LittleFS, LittleFSError

from fleet.flashing import journal, partitions
from fleet.flashing.journal import JournalContent
from hil.virtual.board import VirtualBoard


def read_journal(board: VirtualBoard) -> JournalContent:
    """Read the journal from a copy of the flash image; what is being written may be missing."""
    vfs = partitions.find(board.table, "vfs")
    with board.flash_path.open("rb") as file:
        file.seek(vfs.offset)
        image = file.read(vfs.size)
    count = vfs.size // partitions.BLOCK
    fs = LittleFS(block_size=partitions.BLOCK, block_count=count, mount=False)
    fs.context.buffer = bytearray(image)
    files: dict[str, bytes] = {}
    try:
        fs.mount()
        for name in fs.listdir("/journal") if "journal" in fs.listdir("/") else []:
            with fs.open(f"/journal/{name}", "rb") as source:
                files[name] = source.read()
    except LittleFSError:  # caught in the middle of a write
        files = {}
    return journal.read(files)
