"""The version behind this tree's: as good as it, and as bad as NVS says, so that one release is
enough for all that may be wrong with one. On a node that was told nothing it is good.
"""

import random
from pathlib import Path

KEY = "hil"  # i32 in NVS, namespace kapok
GOOD, CRASHES, CANNOT_BE_IMPORTED, REACHES_NOBODY = 0, 1, 2, 3
TABLE = 4_000  # bytes that nobody reads and no delta can leave out: some contacts' worth

_ASK = """

def hil_told():
    import esp32

    try:
        return esp32.NVS("kapok").get_i32("hil")
    except OSError:
        return 0
"""
_CRASH = """
        if hil_told() == 1:
            raise RuntimeError
"""
_IMPORT = """

if hil_told() == 2:
    raise ImportError
"""
_DEAF = """
        from node.cycle import hil_told

        if hil_told() == 3:
            raise LinkError
"""


def obedient(sources: Path) -> None:
    """Change a copy of firmware/ so."""
    _behind(sources / "node" / "cycle.py", "        self._sensed = self._talked = False\n", _CRASH)
    _behind(sources / "node" / "cycle.py", "", _ASK + _IMPORT)
    _behind(
        sources / "node" / "link" / "session.py",
        '        """Wake the modem and attach; LinkError says why not."""\n', _DEAF,
    )  # fmt: skip
    table = random.Random(1).randbytes(TABLE)
    _behind(sources / "node" / "claim.py", "", f"\n\nTABLE = {table!r}\n")


def told(what: int) -> str:
    """Code for a node's prompt that tells it."""
    return f"import esp32\nnvs = esp32.NVS('kapok')\nnvs.set_i32({KEY!r}, {what})\nnvs.commit()\n"


def _behind(path: Path, line: str, more: str) -> None:
    text = path.read_text()
    if text.count(line) < 1:
        raise ValueError(f"{path} has no line {line!r}")
    before, found, after = text.partition(line) if line else (text, "", "")
    path.write_text(before + found + more.removeprefix("\n" if found else "") + after)
