"""How time passes for a board of the bench: at a rate, free, not at all; or so much at once."""

from hil.virtual.bench.control import ControlError
from hil.virtual.board import BoardError, VirtualBoard

FREE = "free"
REAL_MOST_S = 3600.0  # of real time in which asked-for time must have passed


class Pace:
    """`rate` is virtual seconds in a real one while the board only waits, or FREE; 0: time stands
    still but for what `let_pass` lets. `haste` is the same while a modem has a real socket open.
    """

    def __init__(self, board: VirtualBoard, rate: float) -> None:
        self._board = board
        self._passing = 0
        self.rate: float | str = rate
        self.haste = 1.0
        self._apply()

    def change(self, rate: float | str, haste: float) -> None:
        """From now on."""
        self.rate, self.haste = rate, haste
        self._apply()

    async def let_pass(self, us: int, until: str | None = None) -> None:
        """Until so much virtual time has passed, free meanwhile, or the board's state is `until`;
        ControlError where it cannot.
        """
        end_us = self._board.now_us + us
        self._board.stand_still()  # or it jumps at once to wherever nobody has told it to stop
        self._passing += 1
        self._apply()
        try:
            await self._board.pass_until(end_us, until, REAL_MOST_S)
        except (BoardError, TimeoutError) as e:
            raise ControlError(str(e)) from None
        finally:
            self._passing -= 1
            self._apply()
            self._board.go_on()

    def _apply(self) -> None:
        free = self._passing or self.rate == FREE
        self._board.set_speed(None if free else float(self.rate), self.haste)
