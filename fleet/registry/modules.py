"""Names of the firmware's modules by their CRC-32, as a crash record has them."""

import binascii
import functools

from fleet.paths import firmware_dir


@functools.lru_cache(maxsize=1)
def _names() -> dict[int, str]:
    # As the slot's builder names a module in its tracebacks, and the supervisor's two files.
    found = {binascii.crc32(name.encode()): name for name in ("boot.py", "main.py", "main")}
    root = firmware_dir()
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        name = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found[binascii.crc32(name.encode())] = name
    return found


def name(crc: int) -> str:
    """The module's name; the number in hexadecimal where this firmware has no such module."""
    if not crc:
        return ""
    return _names().get(crc, f"{crc:08x}")
