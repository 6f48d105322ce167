"""The firmware's modules by the CRC-32 of their names, and their lines, as a crash has them."""

import binascii
import functools

from fleet.paths import firmware_dir
from fleet.releases import flat, slots
from fleet.releases.lines import source_line


@functools.lru_cache(maxsize=1)
def _names() -> dict[int, str]:
    # As the slot's builder names a module in its tracebacks, and the supervisor's two files.
    found = {binascii.crc32(name.encode()): name for name in ("boot.py", "main.py", "main")}
    root = firmware_dir()
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        name = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found[binascii.crc32(name.encode())] = name
    for source, short in flat.names(slots.read_sources(root)).items():
        found[binascii.crc32(short.encode())] = flat.dotted(source)
    return found


@functools.lru_cache(maxsize=256)
def line(crc: int, number: int) -> int:
    """The line of the source that line `number` of a traceback means, if this is the firmware;
    the number itself where there is no such module.
    """
    path = firmware_dir() / f"{_names().get(crc, '').replace('.', '/')}.py"
    if not path.is_file():
        path = path.with_suffix("") / "__init__.py"
    return source_line(path.read_text(), number) if path.is_file() else number


def name(crc: int) -> str:
    """The module's name; the number in hexadecimal where this firmware has no such module."""
    if not crc:
        return ""
    return _names().get(crc, f"{crc:08x}")
