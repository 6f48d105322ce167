"""What a bench measured on a board, or the virtual rig computed: hw/measured/boards.

Written by `pytest hil/tests/test_measure.py --rig FILE --measure`. `kapok battery` takes what was
measured on a board before the estimates of hw/chips, and never what is computed from those.
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet.battery.figures import Chip
from fleet.errors import Refusal
from fleet.paths import hw_dir

VIRTUAL = "virtual"  # as `rig`: computed from the figures of hw/, on a virtual board
_HEAD = """\
# Written by `pytest hil/tests/test_measure.py --rig FILE --measure` (docs/hil.md).
# rig = "virtual": computed, and its times are those of a PC: kapok battery does not use it.
"""

Positive = Annotated[float, Field(gt=0)]


class OnBoardError(Refusal, ValueError):
    """A file of measurements cannot be used, or must not be written; one line says why."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Times(_Strict):
    """RSA-3072-PSS and SHA-256 of an update; a boot up to the first look at the sensors; the
    import of the application; one turn of the loop of hw/chips. What was not measured is None.
    """

    verify_ms: Positive | None = None
    sha256_kb_s: Positive | None = None
    boot_ms: Positive | None = None
    import_ms: Positive | None = None
    turn_us: Positive | None = None


class Heap(_Strict):
    """Bytes that are free behind the self-test at power-on, and at the prompt."""

    selftest: int | None = None
    prompt: int | None = None


class Currents(_Strict):
    """Of the whole board: asleep with its modem in PSM; awake, computing and waiting."""

    sleep_ua: Positive | None = None
    busy_ma: Positive | None = None
    idle_ma: Positive | None = None


class Phase(_Strict):
    """A part of a wake."""

    ms: float
    uc: float


class OnBoard(_Strict):
    """Of one board. `wake`: by phase, of a wake without contact ("sense") and of one with it."""

    board: str
    chip: str
    rig: str
    place: str
    date: str
    commit: str
    time: Times = Times()
    heap: Heap = Heap()
    current: Currents = Currents()
    wake: dict[str, Phase] = {}

    @property
    def says(self) -> str:
        """Where a number is from, for a table."""
        return f"measured on {self.place} of rig {self.rig}, {self.date}"

    def better(self, chip: Chip) -> Chip:
        """The chip's figures, those that were measured in place of estimates."""
        power = {"busy": self.current.busy_ma, "idle": self.current.idle_ma}
        measured = {name: value for name, value in power.items() if value is not None}
        vm = chip.vm if self.time.turn_us is None else type(chip.vm)(turn_us=self.time.turn_us)
        return chip.model_copy(
            update={"power_ma": chip.power_ma.model_copy(update=measured), "vm": vm}
        )


def path_of(board: str) -> Path:
    """Its file."""
    return hw_dir() / "measured" / "boards" / f"{board}.toml"


def load(board: str) -> OnBoard | None:
    """What was measured on such a board, real ones alone; None where nobody did. OnBoardError."""
    found = read(board)
    return found if found is not None and found.rig != VIRTUAL else None


def read(board: str) -> OnBoard | None:
    """The file of a board, whoever wrote it; None without one. OnBoardError."""
    path = path_of(board)
    try:
        found = OnBoard.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, ValidationError) as e:
        raise OnBoardError(f"hw/measured/boards/{path.name}: {str(e).splitlines()[0]}") from None
    if found.board != board:
        raise OnBoardError(f"hw/measured/boards/{path.name}: it is of {found.board[:40]}")
    return found


def write(found: OnBoard) -> Path:
    """Keep it; where. OnBoardError where a virtual board would take a real one's place."""
    before = read(found.board)
    if found.rig == VIRTUAL and before is not None and before.rig != VIRTUAL:
        raise OnBoardError(
            f"hw/measured/boards/{found.board}.toml was {before.says}: a virtual board does not"
            " replace it"
        )
    lines = [
        _HEAD.rstrip(),
        "",
        *(f'{key} = "{getattr(found, key)}"'
          for key in ("board", "chip", "rig", "place", "date", "commit")),
    ]  # fmt: skip
    tables: dict[str, BaseModel] = {
        "time": found.time, "heap": found.heap, "current": found.current,
        **{f"wake.{name}": phase for name, phase in found.wake.items()},
    }  # fmt: skip
    for name, table in tables.items():
        values = table.model_dump(exclude_none=True)
        if values:
            lines += ["", f"[{name}]", *(f"{key} = {value:g}" for key, value in values.items())]
    path = path_of(found.board)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
