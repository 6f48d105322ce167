"""One contact with the fleet, as the button at the node makes it: reports go, receipts come.

Sent behind facts.py. What the journal holds is delivered; with nothing in it the fleet is polled.
"""

import asyncio

import machine

_MOST = 40  # contacts of a drain: 96 records each


def _app():
    from node.app import App

    return App()


async def _once(app) -> dict:
    before = app.journal.depth
    app.state.set("retry", 0)
    app.state.set("btn", 0)  # whoever visits it waits for nothing
    app.state.set("urg", [0, 0])
    app.state.set("told", None)  # so that there is something to say, whatever the journal holds
    await app.cycle.run(machine.EXT1_WAKE)
    told = {"depth_before": before, "depth": app.journal.depth}
    app.journal.put_away()
    app.state.save()
    if app.state.get("fails", 0):
        told["error"] = app.state.get("error", 0)
        told["cause"] = app.state.get("cause", 0)
    return told


def contact() -> dict:
    """{depth_before, depth, error, cause}; without an error the fleet gave a receipt."""
    return asyncio.run(_once(_app()))


async def _drained(app) -> dict:
    told = await _once(app)
    for _ in range(_MOST):
        if "error" in told or not told["depth"]:
            break
        told = await _once(app)
    return told


def drain() -> dict:
    """Contacts until the journal is empty or one fails; as `contact` of the last one."""
    return asyncio.run(_drained(_app()))
