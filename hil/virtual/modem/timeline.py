"""What befalls a modem in a scenario, and when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hil.virtual.modem.delays import Delay
from hil.virtual.twin import UartPort

TRIGGERS = ("power", "attach", "open", "send")
ACTIONS = (
    "detach",
    "refuse",
    "deactivate",
    "coverage_lost",
    "cell_change",
    "restart",
    "shut_down",
    "brown_out",
    "sleep",
    "mute",  # until it starts anew
    "dead",  # mute for good
    "sim_removed",
    "plan_exhausted",
)
Action = Callable[["Event"], None]
Pending = tuple[int, Callable[[], None]]  # when, and what


@dataclass(frozen=True)
class Event:
    """`do` happens `at_s` virtual seconds after each of the first `times` times that `on` does.

    `on`: power on, attached, a socket was opened, or a send was taken. `for_s`: how long it lasts,
    None for ever; `cause` is an EMM cause for "refuse".
    """

    do: str
    at_s: float = 0.0
    on: str = "power"
    for_s: float | None = None
    cause: int | None = None
    times: int = 1


class Timeline:
    """`actions` has one for each of ACTIONS."""

    def __init__(
        self, port: UartPort, events: tuple[Event, ...], actions: Mapping[str, Action]
    ) -> None:
        self._port = port
        self._left = {at: event.times for at, event in enumerate(events)}
        self._events = events
        self._actions = actions
        self._pending: list[Pending] = []
        self.happened: list[str] = []

    def trigger(self, on: str) -> None:
        """It happens now."""
        if on == "power":
            # A power cut took the port's timers along; what was to come still comes.
            for pending in self._pending:
                self._wait(pending)
        for at, event in enumerate(self._events):
            if event.on == on and self._left[at]:
                self._left[at] -= 1
                self.later(event.at_s, lambda event=event: self.happen(event))  # type: ignore[misc]

    def later(self, seconds: float, fn: Callable[[], None]) -> None:
        """Call `fn` once, also over a power cut."""
        pending = (self._port.now() + int(seconds * 1_000_000), fn)
        self._pending.append(pending)
        self._wait(pending)

    def _wait(self, pending: Pending) -> None:
        def come() -> None:
            if pending in self._pending:
                self._pending.remove(pending)
                pending[1]()

        # Time may jump to what befalls a modem: nobody real has to answer before.
        Delay(self._port, pending[0], come)

    def happen(self, event: Event) -> None:
        """`event.do` happens now."""
        self.happened.append(event.do)
        self._actions[event.do](event)
