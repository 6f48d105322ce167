"""What a run amounted to."""

from typing import Any

from hil.standalone.run import Standalone
from hil.virtual.modem import ModemTwin
from hil.virtual.modem.replay import Departure, Replay


def of_modem(twin: ModemTwin, stand: Standalone) -> dict[str, Any]:
    """Commands, bytes on the UART and in the sockets, what befell packets, and energy in mJ."""
    return {
        "commands": twin.commands,
        **_uart(stand),
        "up_bytes": twin.up_bytes,
        "down_bytes": twin.down_bytes,
        "packets": {
            "lost": twin.air.lost,
            "duplicated": twin.air.journeys.duplicated,
            "delayed": twin.air.journeys.delayed,
            "rebound": twin.bridge.nat.rebound,
            "stale": twin.bridge.nat.stale,
        },
        "energy_mj": round(twin.ledger.mark().mj, 1),
    }


def of_replay(twin: Replay, stand: Standalone) -> dict[str, Any]:
    """Commands, bytes on the UART, where the driver departed, and the lines it never reached."""
    return {
        "commands": twin.commands,
        **_uart(stand),
        "departed": twin.departed,
        "departures": [_departure(departure) for departure in twin.departures],
        "never_reached": [step.line for step in twin.never_reached()],
    }


def line(facts: dict[str, Any]) -> str:
    """The same in one line for people."""
    parts = [
        f"{facts['commands']} commands",
        f"UART {facts['uart_in']} B in, {facts['uart_out']} B out, {facts['uart_lost']} B lost",
    ]
    if "energy_mj" in facts:
        parts += [
            f"sockets {facts['up_bytes']} B up, {facts['down_bytes']} B down{_befell(facts)}",
            f"{facts['energy_mj']} mJ",
        ]
    else:
        missed = facts["never_reached"]
        where = f", the first on line {missed[0]}" if missed else ""
        parts += [
            f"{facts['departed']} departures",
            f"{len(missed)} requests never reached{where}",
        ]
    return "; ".join(parts)


def _befell(facts: dict[str, Any]) -> str:
    told = ", ".join(f"{count} {what}" for what, count in facts["packets"].items() if count)
    return f" (packets: {told})" if told else ""


def _uart(stand: Standalone) -> dict[str, int]:
    return {"uart_in": stand.heard, "uart_out": stand.said, "uart_lost": stand.lost}


def _departure(departure: Departure) -> dict[str, Any]:
    expected = departure.expected
    return {
        "line": departure.line,
        "expected": None if expected is None else expected.decode("latin-1"),
        "got": departure.got.decode("latin-1"),
    }
