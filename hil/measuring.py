"""What the first tests of a bench measure, put together for hw/measured/boards."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet.battery import onboard
from fleet.battery.onboard import OnBoard
from fleet.flashing.hardware import load_board
from hil.current import Trace
from hil.node import Node
from hil.pytest_plugin.report import commit

# The first and the last of a socket, by any of hw/modems.
OPENS = r"OPEN=|NSOCR=|ATD"
CLOSES = r"CLOSE|NSOCL|\+\+\+"


class Measuring:
    """Figures by table of the file, as tests find them; `places` by name: the board there."""

    def __init__(self, virtual: bool, rig: str) -> None:
        self._rig = onboard.VIRTUAL if virtual else rig
        self._found: dict[str, dict[str, dict[str, Any]]] = {}
        self._places: dict[str, str] = {}

    def note(self, node: Node, table: str, **values: Any) -> None:
        """Of the board at this place."""
        self._places[node.board] = node.place
        tables = self._found.setdefault(node.board, {})
        tables.setdefault(table, {}).update(values)

    def phases(self, node: Node, found: dict[str, Trace]) -> None:
        """Of a wake."""
        for name, trace in found.items():
            values = {"ms": round(1000 * trace.seconds, 1), "uc": round(trace.charge_uc(), 1)}
            self.note(node, "wake", **{name: values})

    def boards(self) -> list[OnBoard]:
        """All that was found."""
        return [
            OnBoard.model_validate(
                {
                    "board": board, "chip": load_board(board).chip, "rig": self._rig,
                    "place": self._places[board],
                    "date": datetime.now(UTC).strftime("%Y-%m-%d"),
                    "commit": commit(Path(__file__).parents[1]), **tables,
                }
            )
            for board, tables in self._found.items()
        ]  # fmt: skip


def plateau(trace: Trace, us: int) -> Trace | None:
    """The part of so many microseconds with the highest mean: a loop that took so long, whenever
    it began, and none of the inrush before it. None where the trace is shorter.
    """
    last = trace.end_us - us
    ends = [at for at, _ in trace.samples]
    begins = [at for each in ends for at in (each, each - us) if trace.begin_us <= at <= last]
    if not begins:
        return None
    begin = max([*begins, last], key=lambda at: trace.charge_uc(at, at + us))
    return cut(trace, begin, begin + us)


def cut(trace: Trace, begin_us: int, end_us: int) -> Trace:
    """The part of a trace between two times."""
    before = [ua for at, ua in trace.samples if at <= begin_us]
    inside = [(at, ua) for at, ua in trace.samples if begin_us < at < end_us]
    first = [(begin_us, before[-1])] if before else []
    return Trace([*first, *inside], max(begin_us, end_us))
