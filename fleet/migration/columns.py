"""Which column of a sheet is which, in the words of the people who keep it (columns.toml)."""

import re
import tomllib
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from fleet.migration.errors import MigrationError

_FILE = Path(__file__).with_name("columns.toml")
_BRACKETS = re.compile(r"\(.*?\)|\[.*?\]")
_NOISE = re.compile(r"[\s_\-./:]+")


def places(
    kind: str, headings: Sequence[str], needed: Sequence[str], where: str
) -> dict[str, int]:
    """Name -> place of the columns that a sheet of `kind` has; unknown ones are left out.

    MigrationError for a missing one of `needed`, and for two columns of one meaning.
    """
    known = _aliases(kind)
    found: dict[str, int] = {}
    for place, heading in enumerate(headings):
        name = known.get(_plain(heading))
        if name is None:
            continue
        if name in found:
            raise MigrationError(
                f"{where}: columns {headings[found[name]]!r} and {heading!r} both mean {name}"
            )
        found[name] = place
    missing = [name for name in needed if name not in found]
    if missing:
        names = ", ".join(
            f"{each} ({' or '.join(_catalogue()[kind][each][:3])})" for each in missing
        )
        raise MigrationError(f"{where}: no column for {names}; its first line names the columns")
    return found


def word(text: str) -> str:
    """What a word of an inventory means, such as battery for 电池; itself where nobody knows."""
    return _words().get(_plain(text), text.strip().lower())


def words(text: str) -> str:
    """Several bearers with spaces, commas, slashes or plus signs between, each once."""
    parts = re.split(r"[,/+;|、，；]+|\s+", text.strip())
    whole = word(text)
    if whole != text.strip().lower() or not parts[1:]:
        return whole
    return " ".join(dict.fromkeys(word(part) for part in parts if part))


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower()
    return _NOISE.sub("", _BRACKETS.sub("", text))


@cache
def _catalogue() -> dict[str, dict[str, list[str]]]:
    loaded: dict[str, dict[str, list[str]]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return loaded


@cache
def _aliases(kind: str) -> dict[str, str]:
    return {
        _plain(alias): name
        for name, aliases in _catalogue()[kind].items()
        for alias in (name, *aliases)
    }


@cache
def _words() -> dict[str, str]:
    return {
        _plain(alias): name
        for name, aliases in _catalogue()["words"].items()
        for alias in (name, *aliases)
    }
