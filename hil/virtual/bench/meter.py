"""What a board of the bench draws, computed from its states and its modem's: nobody measures it.

The chip's figures are those of hw/chips, the modem's of hw/modems, what the rest of the board
draws all the time of hw/nodes. What the chip computes takes this machine's time, not the chip's:
the charge of work is too small here, that of waiting, sending and sleeping is not.
"""

from collections.abc import Mapping
from typing import Any

from fleet.battery import figures
from fleet.flashing.hardware import load_node_type, node_types
from hil.virtual.bench.steps import Steps
from hil.virtual.board import VirtualBoard
from hil.virtual.fittings import Fittings
from hil.virtual.modem import ModemTwin

MOST = 4000  # samples of one answer
SENSE_UA = 63_000  # a loop of 12 mA at 15 V, boosted with 80 % from 3.3 V (hw/nodes/drainage.toml)


class Meter:
    """Of one board, from when it is made."""

    def __init__(
        self,
        board: VirtualBoard,
        name: str,
        pins: Mapping[str, int],
        fittings: Fittings,
        modem: ModemTwin | None,
    ) -> None:
        self._board = board
        self._modem = modem
        self._chip = figures.chip(board.chip)
        self._leak_ua = leak_ua(name)
        self._waits = True
        self._valve_ua = self._sense_ua = 0
        self._own = Steps()
        self._of_modem = Steps()
        board.watch(self._changed, self._waiting)
        if modem is not None:
            modem.ledger.on_count = self._modem_drew
        if fittings.valve is not None:
            fittings.valve.on_current = self._valve
        if "sense" in pins:
            board.listen(pins["sense"], self._sense)

    def since(self, since_us: int) -> dict[str, Any]:
        """`samples` of (us, uA from then on), the first at `since_us`; where there are `more`,
        the rest from `next_us` on.
        """
        now = self._board.now_us
        if self._modem is not None:
            self._modem.ledger.mark()  # up to now
        begin = min(since_us, now)
        times = {begin, *self._own.between(begin, now), *self._of_modem.between(begin, now)}
        whole = sorted(times)
        shown = whole[:MOST]
        samples: list[list[int]] = []
        for at in shown:
            drawn = self._at(at)
            if not samples or samples[-1][1] != drawn:
                samples.append([at, drawn])
        more = len(whole) > MOST
        return {
            "samples": samples,
            "more": more,
            "next_us": whole[MOST] if more else now,
            "computed": True,
        }

    def _at(self, us: int) -> int:
        own = self._own.at(us)
        return own + self._of_modem.at(us) if own else 0  # without power nobody draws

    def _changed(self) -> None:
        self._own.add(self._board.now_us, self._draws())

    def _waiting(self, waits: bool) -> None:
        self._waits = waits
        if self._board.state == "awake":
            self._changed()

    def _valve(self, milliamperes: int) -> None:
        self._valve_ua = 1000 * milliamperes
        self._changed()

    def _sense(self, level: int) -> None:
        self._sense_ua = SENSE_UA if level else 0
        self._changed()

    def _modem_drew(self, from_us: int, milliamperes: float) -> None:
        self._of_modem.add(from_us, round(1000 * milliamperes))

    def _draws(self) -> int:
        state = self._board.state
        if state == "off":
            return 0
        more = self._leak_ua + self._valve_ua + self._sense_ua
        if state == "asleep":
            return round(self._chip.power_ua.deep_sleep + self._ulp_ua()) + more
        waits = self._waits and state in ("awake", "loader")
        milliamperes = self._chip.power_ma.idle if waits else self._chip.power_ma.busy
        return round(1000 * milliamperes) + more

    def _ulp_ua(self) -> float:
        ulp, added = self._board.ulp, self._chip.power_ua.ulp_at_10ms
        if ulp is None or added is None or not ulp.running:
            return 0.0
        return added * 10_000 / ulp.period_us


def leak_ua(board: str) -> int:
    """uA that everything but chip and modem draws, of the node types that this board can be."""
    kinds = [load_node_type(name) for name in node_types()]
    return max(
        (round(k.supply.leak_ua) for k in kinds if k.board == board and k.supply is not None),
        default=0,
    )
