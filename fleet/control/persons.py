"""Who asks and who approves: names as people write them, and when two of them are one."""

import unicodedata

from fleet.control.errors import ControlError

MAX = 64  # characters


def check_person(name: str) -> str:
    """`name` without stray blanks; ControlError for one that cannot be shown."""
    text = " ".join(name.split())
    if not 0 < len(text) <= MAX or not text.isprintable():
        raise ControlError(f"a person's name takes 1 to {MAX} printable characters")
    return text


def same(one: str, other: str) -> bool:
    """Whether two names are one person's: case, blanks and forms of characters do not count."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(text.split())
