"""The facts, by script: what each says, what a chip tells and where that stands, and the scripts
that ask for them, as texts for a VM or a board."""

import functools
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).parent
_MARK = "FACT "
_LISTED = frozenset({"id", "says", "expect", "source", "virtual", "because", "only"})
_USUAL = ("esp32s3",)  # the chip that a script is run on unless its list names others
_ANYTHING = "*"  # for `virtual`: what has the address of an object in it
# Where a source is read: MicroPython and its library at the tag, and ESP-IDF.
_TREES = {
    "mp": "https://github.com/micropython/micropython/blob/v1.28.0/",
    "lib": "https://github.com/micropython/micropython-lib/blob/v1.28.0/",
    "idf": "https://github.com/espressif/esp-idf/blob/release/v5.5/",
}


class FactError(ValueError):
    """The list of facts is wrong; one line: which fact, what is wrong, what to write."""


class Fact(NamedTuple):
    """`expect`: the repr of what a chip gives, or of its exception. `virtual`: what the virtual
    board gives where that is another, `because` of what. `only`: the chips that it is true of; a
    fact that is told otherwise by others has a row for each."""

    id: str
    says: str
    expect: str
    source: str
    virtual: str | None
    because: str
    only: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the virtual board is known to do otherwise."""
        return self.virtual is not None

    @property
    def on_virtual(self) -> str:
        """What the virtual board is to tell."""
        return self.expect if self.virtual is None else self.virtual

    @property
    def link(self) -> str:
        """The address of its source."""
        tree, _, path = self.source.partition(":")
        return _TREES[tree] + path


class Difference(NamedTuple):
    """A fact that was told otherwise, or not at all (`told` is None)."""

    fact: Fact
    wanted: str
    told: str | None

    def __str__(self) -> str:
        told = "nothing" if self.told is None else self.told
        return f"{self.fact.id}: {self.fact.says}: wanted {self.wanted}, told {told}"


def scripts() -> list[str]:
    """The names of the scripts, sorted."""
    return sorted(path.stem for path in _HERE.glob("scripts/[a-z]*.py"))


def text(script: str) -> str:
    """A script with what it begins with: all that a board needs to be given."""
    return (_HERE / "scripts" / "_tell.py").read_text() + (
        _HERE / "scripts" / f"{script}.py"
    ).read_text()


def chips(script: str) -> tuple[str, ...]:
    """The chips that a script is run on."""
    return tuple(_list(script).get("chips", _USUAL))


@functools.cache
def listed(script: str) -> tuple[Fact, ...]:
    """The facts of a script, in its order; FactError when the list is not as it must be."""
    return tuple(parsed(row, f"{script}.toml") for row in _list(script)["fact"])


@functools.cache
def _list(script: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / "expected" / f"{script}.toml").read_text())


def parsed(row: dict[str, Any], where: str) -> Fact:
    """A row of a list as a fact; FactError, which names the file `where` it stands."""
    name = str(row.get("id", "?"))
    unknown = row.keys() - _LISTED
    lacking = {"id", "says", "expect", "source"} - row.keys()
    if unknown or lacking:
        raise FactError(
            f"{where}: {name}: unknown {sorted(unknown)}, missing {sorted(lacking)}:"
            " see hil/fidelity/facts.py"
        )
    if ("virtual" in row) != ("because" in row) or row.get("virtual") == row["expect"]:
        raise FactError(f"{where}: {name}: a difference needs `virtual` and `because`")
    if str(row["source"]).partition(":")[0] not in _TREES:
        raise FactError(f"{where}: {name}: the source begins with {', '.join(_TREES)} and a colon")
    return Fact(
        name,
        str(row["says"]),
        str(row["expect"]),
        str(row["source"]),
        str(row["virtual"]) if "virtual" in row else None,
        str(row.get("because", "")),
        tuple(row.get("only", ())),
    )


def told(lines: Iterable[str]) -> dict[str, str]:
    """What a board's lines say, by fact."""
    found = {}
    for line in lines:
        if line.startswith(_MARK):
            name, _, value = line.removeprefix(_MARK).strip().partition(" ")
            found[name] = value
    return found


def differences(script: str, chip: str, said: dict[str, str], *, of: str) -> list[Difference]:
    """Facts that were told otherwise than a chip (`of` "chip"), or the virtual board (`of`
    "virtual"), is to tell them; told facts that are not listed are a FactError."""
    rows = listed(script)
    unknown = sorted(said.keys() - {row.id for row in rows})
    if unknown:
        raise FactError(f"{script}.toml: no such fact: {', '.join(unknown)}")
    found = []
    for row in rows:
        if row.only and chip not in row.only:
            continue
        wanted = row.on_virtual if of == "virtual" else row.expect
        heard = said.get(row.id)
        if heard != wanted and (heard is None or wanted != _ANYTHING):
            found.append(Difference(row, wanted, heard))
    return found
