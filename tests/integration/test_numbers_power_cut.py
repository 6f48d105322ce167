"""The sender sequence on the board: power or CPU fails at each operation on NVS and RTC memory."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from board_rig import MAC, START, Rig, flash

from fleet.paths import firmware_dir
from fleet.releases import slots
from hil.virtual.board import VirtualBoard
from hil.virtual.life import HARD_RESET
from hil.virtual.nvs import NvsError
from hil.virtual.peripherals import Peripherals
from hil.virtual.shims import _ops
from hil.virtual.vmrun import End

_MODULES = (
    *("__init__", "errors", "modules", "store/__init__", "store/numbers", "store/rtcstate"),
    *("wire/__init__", "wire/cbor"),
)
_COUNTED = {_ops.NVS_GET, _ops.NVS_SET, _ops.NVS_COMMIT, _ops.MEMORY_SET}
ENDS = {"power": End("cut"), "cpu": End("reset", HARD_RESET)}  # RTC memory survives the second
# One life takes 20 numbers: it begins three steps of RTC memory, and sometimes one of NVS.
_BOOT = """
    import sys
    sys.path.append("/")
    import esp32, machine
    from node.store.numbers import Numbers
    from node.store.rtcstate import RtcState
    {sabotage}
    state = RtcState(machine.RTC().memory)
    state.load()
    numbers = Numbers(state, esp32.NVS("kapok"), b"\\x0a\\x0b\\x0c")
    for _ in range(20):
        print("given", numbers.next())
    numbers.settle()
    machine.deepsleep(1000)
"""
_AHEAD_OFF = """
    class Numbers(Numbers):
        def next(self):
            held = self._held()
            number = self._limit() if held is None else held
            print("given", number)
            self._nvs.set_i32(self._name, number + 1)
            self._nvs.commit()
            self._save(number + 1)
            return number
"""


class Cutter:
    """Ends the run of `board` at the counted operation after `left` more, before or behind it."""

    def __init__(self) -> None:
        self.board: VirtualBoard | None = None
        self.left = -1
        self.behind = False
        self.end = ENDS["power"]

    def answer(self, peripherals: Peripherals, op: int, payload: bytes) -> bytes | None:
        if op in _COUNTED and self.left >= 0:
            self.left -= 1
            if self.left < 0:
                if self.behind:
                    with suppress(NvsError):
                        _answer(peripherals, op, payload)
                assert self.board is not None
                assert self.board.life.run is not None
                self.board.life.run.kill(self.end)
                return None
        return _answer(peripherals, op, payload)


_answer = Peripherals.answer


@pytest.fixture
def cutter(monkeypatch: pytest.MonkeyPatch) -> Cutter:
    made = Cutter()
    monkeypatch.setattr(Peripherals, "answer", lambda *call: made.answer(*call))  # noqa: PLW0108
    return made


def files() -> dict[str, bytes]:
    names = [f"node/{name}.py" for name in _MODULES]
    tree = slots.compile_tree(firmware_dir(), names, slots.cache_dir() / "numbers", ("-O3",))
    return {f"/{p.relative_to(tree)}": p.read_bytes() for p in sorted(tree.rglob("*.mpy"))}


async def campaign(folder: Path, cutter: Cutter, boot: str) -> tuple[list[Any], int]:
    """Every number given by one board over all its lives, and how often it was cut."""
    flash(folder, boot, files())
    lines: list[str] = []
    board = VirtualBoard(folder, MAC, start=START, console=lines.append)
    cutter.board = board
    cuts = 0
    try:
        while True:
            sleeps, boots = board.life.sleeps, board.resets["hard"]
            cutter.left = cuts
            if board.state == "off":
                board.power_on()
            await board.run_until(
                lambda: (
                    board.state == "off"
                    or board.resets["hard"] > boots  # noqa: B023
                    or board.life.sleeps > sleeps  # noqa: B023
                )
            )
            if board.life.sleeps > sleeps:
                return Rig(board, lines).all("given"), cuts
            cuts += 1
            if board.state == "off":
                board.power_on()
            await board.run_until(lambda: board.life.sleeps > sleeps)  # noqa: B023
            if cutter.end == ENDS["power"] and cuts % 2:
                await board.power_cut()  # else the next life finds its RTC memory
    finally:
        await board.stop()


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("what", ["power", "cpu"])
async def test_no_number_is_given_twice_wherever_it_fails(
    tmp_path: Path, cutter: Cutter, what: str, behind: bool
) -> None:
    cutter.behind, cutter.end = behind, ENDS[what]
    given, cuts = await campaign(tmp_path, cutter, _BOOT.format(sabotage=""))
    print(f"{what}: {cuts} cuts, {len(given)} numbers up to {given[-1]}")
    assert cuts > 9
    assert len(given) == len(set(given))
    assert given == sorted(given)


async def test_with_persist_ahead_off_a_number_is_given_twice(
    tmp_path: Path, cutter: Cutter
) -> None:
    cutter.end = ENDS["power"]
    given, cuts = await campaign(tmp_path, cutter, _BOOT.format(sabotage=_AHEAD_OFF))
    assert cuts > 9
    assert len(given) > len(set(given))
