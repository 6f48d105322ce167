"""What a modem that stands alone can be: the families, and the scenarios that are shipped."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fleet.errors import Refusal
from hil.virtual.modem import ModemTwin
from hil.virtual.modem.engine import DEFAULT_RESOLVE
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.scenario import Scenario, TableError, load, shipped
from hil.virtual.modem.tape import Tape


class SettingError(Refusal):
    """There is no such twin; the text is one line."""


class UnknownFamily(SettingError):
    """The family is none of those that are known."""


def families() -> list[dict[str, str]]:
    """Name and model of each family, by name."""
    return [{"name": name, "model": FAMILIES[name].table.model} for name in sorted(FAMILIES)]


def scenarios() -> list[dict[str, str]]:
    """Name, technology and purpose of each scenario that is shipped, by name."""
    listed = []
    for path in shipped():
        scenario = load(path)
        entry = {"technology": scenario.technology, "about": scenario.about}
        listed.append({"name": path.stem, **entry})
    return listed


def make(
    family: str,
    scenario: str | None,
    *,
    seed: int,
    baud: int | None,
    resolve: Mapping[str, str],
    tape: Tape | None = None,
) -> ModemTwin:
    """A twin; `scenario` is a file's path or a shipped one's name, with or without `.toml`.

    `baud` comes before the scenario's; `tape` gets what goes over the UART. SettingError where
    there is no such twin.
    """
    if family not in FAMILIES:
        raise UnknownFamily(f"no family {family!r}; known are {', '.join(sorted(FAMILIES))}")
    chosen = Scenario() if scenario is None else _scenario(scenario)
    if baud is not None:
        chosen = replace(chosen, line=replace(chosen.line, baud=baud))
    table = {**DEFAULT_RESOLVE, **resolve}
    return ModemTwin(family, seed=seed, scenario=chosen, resolve=table, tape=tape)


def _scenario(name: str) -> Scenario:
    path = Path(name)
    if not path.is_file():
        known = {file.stem: file for file in shipped()}
        found = known.get(name.removesuffix(".toml"))
        if found is None:
            raise SettingError(f"no scenario {name}; a file, or one of {', '.join(known)}")
        path = found
    try:
        return load(path)
    except TableError as e:
        raise SettingError(str(e)) from None
