"""The ways from a modem to the fleet, for nodes whose configuration names more than the usual one.

A bearer has connect(host, port, deadline_ms) as Modem has it, and `async close()`.
"""

from node.errors import ConfigError, LinkError

# name in the configuration: the module whose `async open_bearer(modem, config)` gives the bearer;
# "" for the modem's own sockets, which are there without
BEARERS = {"modem": "", "ppp": "node.link.ppp"}


async def door(session):
    """The open door over the first configured bearer that leads to the fleet.

    What a bearer left open is closed before the next one is tried; LinkError is the last one's.
    """
    error = None
    for name in session.config["bearers"]:
        if name not in BEARERS:
            known = ", ".join(sorted(BEARERS))
            raise ConfigError("bearer %r: this node knows %s" % (name, known))
        try:
            bearer = session.modem
            if BEARERS[name]:
                if session.config.get("door") == "coap":
                    raise ConfigError("door coap goes by the modem's own sockets only")
                module = __import__(BEARERS[name], None, None, ("open_bearer",))
                bearer = await module.open_bearer(session.modem, session.config)
                session.opened.append(bearer)
            elif error is not None:
                await bearer._activate()  # the one before may have ended the data connection
            return await session.through(bearer)
        except LinkError as e:
            error = e
            while session.opened:
                await session.opened.pop().close()
    raise error or LinkError("no bearer is configured")
