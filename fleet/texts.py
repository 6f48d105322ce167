"""The catalogue of what the fleet says to people, in English and Chinese: `texts.toml` beside."""

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")
_FILE = Path(__file__).with_name("texts.toml")


def language(environment: Mapping[str, str] = os.environ) -> str:
    """`zh` or `en` by LC_ALL, LC_MESSAGES and LANG, in this order; `en` for all others."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return "zh" if environment[name].lower().startswith("zh") else "en"
    return "en"


def say(key: str, lang: str, values: Mapping[str, object] | None = None) -> str:
    """The text of `key` with {names} filled in; KeyError for a key that there is not.

    A name that `values` lacks stays as it stands: an old alarm may know less than its text.
    """
    return fill(_catalogue()[key][lang], values or {})


def fill(text: str, values: Mapping[str, object]) -> str:
    """A text of data that is no part of the catalogue, filled in the same way."""
    return text.format_map(_Lenient(values))


def known() -> list[str]:
    """All keys of the catalogue."""
    return list(_catalogue())


class _Lenient(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


@cache
def _catalogue() -> dict[str, dict[str, str]]:
    tables = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {
        f"{table}.{key}": texts
        for table, entries in tables.items()
        for key, texts in entries.items()
    }
