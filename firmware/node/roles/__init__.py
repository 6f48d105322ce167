"""What a node is for. A role senses, keeps records in the journal, and names its next moment.

Every role offers `mains` (it stays awake), `sense(now, wake_reason)`, `due(now)` (when it wants to
sense next, in s since 1970, or None), `called()` (whether its sensor called since the last
question) and `arm()` (prepare what ends deep sleep; pins of its own that may do so, if any).
`command(code, arguments, now)` gives (result, detail), codes of wire/command.py, of a command that
is the role's. One role is imported at a time: heap is short.
"""

from node.errors import ConfigError


def open_role(config: dict, state, journal):
    """The role that the configuration names. `journal` is a LazyJournal."""
    name = config["role"]
    if name == "gas-meter":
        from node.roles.gas_meter import GasMeter

        return GasMeter(config, state, journal)
    if name == "drainage":
        from node.roles.drainage import Drainage

        return Drainage(config, state, journal)
    if name == "lamppost":
        from node.roles.lamppost import Lamppost

        return Lamppost(config, state, journal)
    if name == "gateway":
        from node.roles.gateway import Gateway

        return Gateway(config, state, journal)
    raise ConfigError("unknown role %r" % name)
