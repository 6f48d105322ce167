"""What the options of `kapok release` take: sequences, versions, and what a release needs."""

from pathlib import Path
from typing import Any

import rich_click as click

RUNTIMES = "1.27.0..1.255.255"
_NEEDED = ("application", "runtime", "keys")


class Version(click.ParamType[int]):
    """MAJOR.MINOR.MICRO of MicroPython, as release.Component's version."""

    name = "version"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        parts = str(value).split(".")
        if len(parts) != 3 or not all(_is_number(part) for part in parts):
            self.fail(f"{value!r}: a version, as 1.29.0", param, ctx)
        major, minor, micro = (min(int(part), 255) for part in parts)
        return major << 16 | minor << 8 | micro


class Runtimes(click.ParamType[tuple[int, int]]):
    """LEAST..MOST, both versions."""

    name = "least..most"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value[0], value[1]
        least, _, most = str(value).partition("..")
        if not most:
            self.fail(f"{value!r}: as {RUNTIMES}", param, ctx)
        found = VERSION(least, param, ctx), VERSION(most, param, ctx)
        if found[0] > found[1]:
            self.fail(f"{value!r}: the least goes first", param, ctx)
        return found


class Needs(click.ParamType[tuple[int, int]]):
    """COMPONENT=LEAST, as (kind, least): a sequence, of the runtime a version."""

    name = "component=least"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        from fleet.wire import release

        kinds = dict(
            zip(_NEEDED, (release.APPLICATION, release.RUNTIME, release.KEYS), strict=True)
        )
        name, _, least = str(value).partition("=")
        if name not in kinds:
            self.fail(f"{value!r}: COMPONENT=LEAST, components are {', '.join(_NEEDED)}")
        kind = VERSION if name == "runtime" else SEQUENCE
        return kinds[name], kind(least, param, ctx)


class What(click.ParamType[int | Path]):
    """A release by its sequence, or the file of a bundle."""

    name = "sequence or file"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | Path:
        text = str(value)
        if text.isascii() and text.isdecimal():
            return SEQUENCE(text, param, ctx)
        return Path(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6


SEQUENCE = click.IntRange(1, 0x7FFFFFFF)
VERSION = Version()
WHAT = What()
