"""The modem as a technician needs it: who it is, its SIM, whether the network lets it in, signal.

Sent behind facts.py, whose names it uses.
"""

import asyncio

from node.errors import NodeError

_SIM = {10: "absent", 11: "pin", 12: "puk", 13: "failure"}  # +CME ERROR, 3GPP TS 27.007 9.2


def _error(e: NodeError) -> dict:
    return {"error": type(e).__name__, "code": e.code, "cause": e.cause, "text": str(e)}


async def _look(told: dict) -> None:
    from node import config
    from node.link.session import Session

    values = config.load()
    state = rtc_state()  # noqa: F821  of facts.py  # pyright: ignore[reportUndefinedVariable]
    session = Session(values, state)
    modem = session.modem
    try:
        await modem.wake(state)
        told["modem"] = "ok"
        try:
            await modem.attach(values["apn"], values["attach_s"] * 1000)
            told["attach"] = {}
        except NodeError as e:
            told["attach"] = _error(e)
            if e.cause in _SIM and type(e).__name__ == "AtError":
                told["sim"] = _SIM[e.cause]
        told["identity"] = await modem.identity()
        told["signal"] = await modem.signal()
        told["time"] = await session.network_time()
    finally:
        await session.close()
        state.save()


def radio() -> dict:
    """{modem, sim, attach, identity, signal, time}; as far as it came."""
    told: dict = {}
    try:
        asyncio.run(_look(told))
    except NodeError as e:
        told["failed"] = _error(e)
    return told
