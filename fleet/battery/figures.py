"""Figures of `hw/chips/` and `hw/batteries/`, strictly read."""

import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet.errors import Refusal
from fleet.paths import hw_dir

Positive = Annotated[float, Field(gt=0)]


class FigureError(Refusal, ValueError):
    """A file of figures cannot be used; one line names file and key."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChipCurrents(_Strict):
    """mA while it computes, and while it waits."""

    busy: Positive
    idle: Positive


class ChipSleep(_Strict):
    """uA in deep sleep, and what its co-processor adds that looks every 10 ms; None: it has none."""

    deep_sleep: Positive
    ulp_at_10ms: Positive | None = None


class ChipSpeed(_Strict):
    """Microseconds of one turn of the loop by which work is measured."""

    turn_us: Positive


class Chip(_Strict):
    """What a chip draws."""

    name: str
    power_ma: ChipCurrents
    power_ua: ChipSleep
    vm: ChipSpeed


class Battery(_Strict):
    """A battery: of `capacity_mah` the part `usable`, less `self_discharge` of it a year."""

    name: str
    title: str
    volts: Positive
    capacity_mah: Positive
    usable: Annotated[float, Field(gt=0, le=1)]
    self_discharge: Annotated[float, Field(ge=0, lt=1)]


_Figures = TypeVar("_Figures", Chip, Battery)


def chip(name: str) -> Chip:
    """`hw/chips/<name>.toml`; FigureError."""
    return _read("chips", name, Chip)


def battery(name: str) -> Battery:
    """`hw/batteries/<name>.toml`; FigureError."""
    return _read("batteries", name, Battery)


def batteries() -> list[str]:
    """Names of those that are known."""
    return sorted(path.stem for path in (hw_dir() / "batteries").glob("*.toml"))


def _read(folder: str, name: str, model: type[_Figures]) -> _Figures:
    path = hw_dir() / folder / f"{name}.toml"
    shown = f"hw/{folder}/{name[:40]}.toml"
    if not path.resolve().is_relative_to((hw_dir() / folder).resolve()) or not path.is_file():
        known = ", ".join(sorted(each.stem for each in Path(hw_dir() / folder).glob("*.toml")))
        raise FigureError(f"{shown} is not there: one of {known}")
    try:
        return model.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as e:
        raise FigureError(f"{shown}: {e}") from None
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FigureError(f"{shown}: {where}: {first['msg']}") from None
