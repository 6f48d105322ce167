"""`kapok modem-twin`: a modem for anybody's driver, in real time."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json, say_table

if TYPE_CHECKING:
    from hil.standalone.run import Standalone
    from hil.virtual.bench.control import Control
    from hil.virtual.modem.replay import Departure
    from hil.virtual.twin import UartTwin

DEPARTED = 3  # exit code


def _port(_: click.Context, __: click.Parameter, value: str) -> str:
    if value.startswith("tcp:"):
        number = value[4:]
        if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < 65536):
            raise click.BadParameter(f"{value!r} is not tcp:PORT with 0..65535")
    elif value not in ("pty", "wire") and "/" not in value:
        raise click.BadParameter(f"{value!r} is none of pty, wire, tcp:PORT and a terminal's path")
    return value


def _resolve(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    import ipaddress

    table = {}
    for value in values:
        name, equals, address = value.rpartition("=")
        try:
            loopback = ipaddress.ip_address(address).is_loopback
        except ValueError:
            loopback = False
        if not (equals and name and loopback):
            raise click.BadParameter(f"{value!r} is not NAME=ADDRESS with a loopback address")
        table[name] = address
    return table


@click.command("modem-twin")
@click.option("--family", metavar="NAME", help="Which modem: see --list.")
@click.option(
    "--port",
    default="pty",
    show_default=True,
    callback=_port,
    metavar="pty|wire|tcp:PORT|[tty:]DEVICE",
    help="A new PTY; one on which the driver's baud rate counts; a port of 127.0.0.1 (0: any "
    "free one); a terminal that exists.",
)
@click.option(
    "--scenario", metavar="FILE", help="The air, the SIM, the supply; a file, or a name of --list."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same run.")
@click.option(
    "--baud",
    type=click.IntRange(300, 4_000_000),
    help="The modem's rate; without it the scenario's, or 115200.",
)
@click.option(
    "--resolve",
    multiple=True,
    callback=_resolve,
    metavar="NAME=ADDRESS",
    help="A host name's loopback address; the name * is every other one.",
)
@click.option(
    "--transcript",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    metavar="FILE",
    help="Replay recorded JSON lines of request, reply and delay instead of a family.",
)
@click.option("--lenient", is_flag=True, help="Replay in the driver's order, not in the record's.")
@click.option(
    "--control",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SOCKET",
    help="Serve requests to the running twin there, of air, SIM and log: see docs/bench.md.",
)
@click.option("--list", "listing", is_flag=True, help="Show the families and the scenarios.")
@json_option
@one_line_errors
def modem_twin(
    family: str | None,
    port: str,
    scenario: str | None,
    seed: int,
    baud: int | None,
    resolve: dict[str, str],
    transcript: Path | None,
    lenient: bool,
    control: Path | None,
    listing: bool,
    as_json: bool,
) -> None:
    """Give any driver a modem: on a PTY or a TCP port, in real time, with sockets on loopback.

    The first line is what the driver opens: /dev/pts/N, or socket://127.0.0.1:PORT as pyserial
    calls it. Drivers may come and go. Ctrl-C or SIGTERM ends it with a line that sums up; SIGUSR1
    takes the modem's power away and gives it again.

    Exit code 3 when a driver departed from the transcript, in which case the line tells where.

    Example: kapok modem-twin --family bc660k --scenario deep-basement.toml
    """
    if listing:
        _list(as_json)
        return
    if transcript is not None:
        if family is not None or scenario is not None or resolve or control is not None:
            raise click.UsageError(
                "--transcript goes without --family, --scenario, --resolve and --control"
            )
        sys.exit(_replay(transcript, lenient, port, seed, baud or 115_200, as_json))
    if family is None:
        raise click.UsageError("--family is missing: which modem? (or --transcript FILE)")
    if lenient:
        raise click.UsageError("--lenient needs --transcript")
    _modem(family, scenario, port, seed, baud, resolve, control, as_json)


def _modem(
    family: str,
    scenario: str | None,
    port: str,
    seed: int,
    baud: int | None,
    resolve: dict[str, str],
    control: Path | None,
    as_json: bool,
) -> None:
    from hil.standalone import setting, summary
    from hil.virtual.bench.control import Control
    from hil.virtual.modem.control import ModemControl
    from hil.virtual.modem.tape import Tape

    tape = None if control is None else Tape()
    try:
        twin = setting.make(family, scenario, seed=seed, baud=baud, resolve=resolve, tape=tape)
    except setting.UnknownFamily as e:
        raise click.UsageError(str(e)) from None
    rate = twin.scenario.line.baud
    served = None
    if control is not None and tape is not None:
        served = Control(control.absolute(), ModemControl(twin, tape).answer)
    stand = _stand(twin, port, rate, served)
    what = {"family": family, "scenario": twin.scenario.name, "seed": seed, "baud": rate}
    _run(stand, what, as_json)
    _say(summary.of_modem(twin, stand), as_json)


def _replay(
    transcript: Path, lenient: bool, port: str, seed: int, baud: int, as_json: bool
) -> int:
    from hil.standalone import summary
    from hil.virtual.modem.replay import StrictReplay
    from hil.virtual.modem.replay_lenient import LenientReplay
    from hil.virtual.modem.transcript import load

    steps = load(transcript)
    kind = LenientReplay if lenient else StrictReplay
    twin = kind(steps, seed=seed, baud=baud)
    stand = _stand(twin, port, baud)

    def departed(departure: "Departure") -> None:
        click.echo(f"kapok: {transcript}:{departure}", err=True)
        if not lenient:
            stand.stop()

    twin.on_departure = departed
    _run(stand, {"transcript": str(transcript), "seed": seed, "baud": baud}, as_json)
    ended = bool(twin.departed) and not lenient
    if as_json or not ended:
        _say(summary.of_replay(twin, stand), as_json)
    return DEPARTED if ended else 0


def _stand(
    twin: "UartTwin", port: str, baud: int, control: "Control | None" = None
) -> "Standalone":
    from hil.standalone.ports import open_line
    from hil.standalone.run import Standalone

    return Standalone(twin, open_line(port, baud), control)


def _run(stand: "Standalone", what: dict[str, Any], as_json: bool) -> None:
    def ready() -> None:
        click.echo(json.dumps({"port": stand.name, **what}) if as_json else stand.name)

    asyncio.run(stand.run(ready))


def _say(facts: dict[str, Any], as_json: bool) -> None:
    from hil.standalone import summary

    # Whoever read the first line may have gone since.
    with contextlib.suppress(BrokenPipeError):
        click.echo(json.dumps(facts) if as_json else summary.line(facts))


def _list(as_json: bool) -> None:
    from hil.standalone import setting

    families, scenarios = setting.families(), setting.scenarios()
    if as_json:
        say_json({"families": families, "scenarios": scenarios})
        return
    say_table("families", ["name", "model"], [list(f.values()) for f in families])
    say_table("scenarios", ["name", "for", "about"], [list(s.values()) for s in scenarios])
