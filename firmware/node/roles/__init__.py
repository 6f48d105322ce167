"""What a node is for. A role senses, keeps records in the journal, and names its next moment.

Every role offers `mains` (it stays awake), `sense(now, wake_reason)`, `due(now)` (when it wants to
sense next, in s since 1970, or None), `called()` (whether its sensor called since the last
question) and `arm()` (prepare what ends deep sleep; pins of its own that may do so, if any).
`command(code, arguments, now)` gives (result, detail), codes of wire/command.py, of a command that
is the role's. `leave()`, where it has that, lets go of its pins and gives what it knows beside RTC
memory: with that as `kept` it is made anew. One role is imported at a time: heap is short.
"""

from node import config
from node.errors import ConfigError
from node.modules import forget


class Role:
    """The role that the configuration names. Whatever is asked of it, it is opened for; during a
    contact it is put away, since it and the link do not fit into the heap side by side.
    """

    def __init__(self, state, journal) -> None:
        """`journal` is a LazyJournal. ConfigError when there is no such role."""
        self._state = state
        self._journal = journal
        self._role = _open(config.whole(), state, journal, None)
        self._kept = None

    def __getattr__(self, name: str):
        if self._role is None:
            self._role = _open(config.whole(), self._state, self._journal, self._kept)
            self._kept = None
        return getattr(self._role, name)

    def put_away(self) -> None:
        """Let it leave the heap, if it can be done without for a while."""
        if hasattr(self._role, "leave"):
            self._kept = self._role.leave()  # type: ignore[union-attr]
            self._role = None
            forget("node.roles.gas_meter node.roles.lamppost node.roles.gateway node.roles.grid")
            forget("node.roles.drainage node.store.register node.sense node.events")
            forget("node.roles.survey")


def _open(values: dict, state, journal, kept):
    name = values["role"]
    if name == "gas-meter":
        from node.roles.gas_meter import GasMeter

        return GasMeter(values, state, journal, kept)
    if name == "drainage":
        from node.roles.drainage import Drainage

        return Drainage(values, state, journal, kept)
    if name == "lamppost":
        from node.roles.lamppost import Lamppost

        return Lamppost(values, state, journal, kept)
    if name == "gateway":
        from node.roles.gateway import Gateway

        return Gateway(values, state, journal, kept)
    if name == "survey":
        from node.roles.survey import Survey

        return Survey(values, state, journal, kept)
    raise ConfigError("unknown role %r" % name)
