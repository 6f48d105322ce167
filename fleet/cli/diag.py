"""`kapok diag` and `kapok prompt`: the node in front of you, examined or stopped."""

import sys
import time
from pathlib import Path
from typing import Any

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json

# machine.reset_cause() of MicroPython's ESP32 port.
_RESETS = {1: "power-on", 2: "hard", 3: "watchdog", 4: "deep sleep", 5: "soft"}
_LONG = ("pins", "lamp_plan")  # in the file only
_MARKS = {"fatal": "✗", "warning": "!", "good": "✓"}


@click.command()
@click.option("--port", "-p", required=True, help="virtual:3, a path, or a glob that fits one.")
@click.option("--no-network", is_flag=True, help="Ask the node alone; leave the modem off.")
@click.option("--no-contact", is_flag=True, help="Look at modem and network, send no report.")
@click.option("--live", type=click.IntRange(1, 3600), help="Show the sensors for so many seconds.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Folder for the report file.",
)
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Of the verdict; default: by LANG.")
@json_option
@one_line_errors
def diag(
    port: str,
    no_network: bool,
    no_contact: bool,
    live: int | None,
    report: Path,
    lang: str | None,
    as_json: bool,
) -> None:
    """Examine the node at a port: the verdict first, the data after it, all of it in a file.

    The application stops while the node is examined and starts again afterwards. Exit code 1
    when the node needs somebody's hand.

    Example: kapok diag --port virtual:3
    """
    from fleet.flashing import ports
    from fleet.flashing.repl import opened
    from fleet.flashing.visit import Visit

    where = ports.one(port)
    steps = {"facts": "asking the node", "radio": "modem, SIM and signal", "contact": "a report"}

    def say(step: str) -> None:
        if not as_json:
            click.echo(f"{where.name}: {steps[step]} ...", err=True)

    with opened(where) as repl:
        visit = Visit(repl, say)
        visit.facts()
        if visit.provisioned and not no_network:
            visit.radio()
            if not no_contact and "error" not in visit.told["radio"].get("attach", {"error": ""}):
                visit.contact()
        if live is not None and visit.provisioned:
            _watch(visit, live)
    path = visit.save(report)
    if as_json:
        verdicts = [verdict._asdict() for verdict in visit.verdicts()]
        say_json({**visit.told, "verdicts": verdicts, "report": str(path)})
    else:
        _show(visit, lang)
        click.echo(f"report: {path}")
    if any(verdict.level == "fatal" for verdict in visit.verdicts()):
        sys.exit(1)


@click.command()
@click.option("--port", "-p", required=True, help="virtual:3, a path, or a glob that fits one.")
@json_option
@one_line_errors
def prompt(port: str, as_json: bool) -> None:
    """Stop a node, asleep or awake, at its prompt and leave it there for mpremote.

    Its application runs on after a reset (mpremote reset), at the latest after ten minutes.

    Example: kapok prompt --port virtual:3 && mpremote connect /dev/pts/7 repl
    """
    from fleet.flashing import ports
    from fleet.flashing.repl import hold

    where = ports.one(port)
    hold(where)
    if as_json:
        say_json({"port": where.name, "device": where.path})
    else:
        click.echo(f"{where.name} is at its prompt: mpremote connect {where.path} repl")


def _watch(visit: Any, seconds: int) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        values = visit.sensors()
        click.echo("  ".join(f"{name} {value}" for name, value in values.items()), err=True)
        time.sleep(1)


def _show(visit: Any, lang: str | None) -> None:
    from fleet import texts

    for verdict in visit.verdicts():
        told = texts.say(f"diag-{verdict.code}", lang or texts.language(), verdict.values)
        click.echo(f"{_MARKS[verdict.level]} {told}")
    click.echo()
    for name, value in _rows(visit.told):
        click.echo(f"{name:<18}{value}")


def _rows(told: dict[str, Any]) -> list[tuple[str, str]]:
    facts = told["facts"]
    cause = facts.get("reset_cause", 0)
    rows = [("node", told["node"]), ("last reset", _RESETS.get(cause, str(cause)))]
    for section in ("versions", "slot", "flash", "journal", "state", "sensors", "config"):
        values = {k: v for k, v in facts.get(section, {}).items() if k not in _LONG}
        rows.append((section, _flat(values) or "-"))
    held = [name for name, size in facts.get("credentials", {}).items() if size]
    rows.append(("holds", " ".join(held) if "error" not in held else _flat(facts["credentials"])))
    for section in ("identity", "signal", "attach"):
        if section in told.get("radio", {}):
            rows.append((section, _flat(told["radio"][section]) or "ok"))
    if "contact" in told:
        rows.append(("contact", _flat(told["contact"])))
    return rows


def _flat(values: dict[str, Any]) -> str:
    return "  ".join(f"{key} {value}" for key, value in values.items() if value is not None)
