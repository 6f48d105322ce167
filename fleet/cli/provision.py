"""`kapok provision`: boards on ports get their identities from the fleet of a claim token."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.core import ParameterSource

from fleet.cli.common import data_folder, json_option, one_line_errors, say_json, say_table

if TYPE_CHECKING:
    from fleet.flashing.provision_many import Result

POLICIES = ["keep-identity", "keep-history", "new"]


@click.command()
@click.option("--ports", multiple=True, required=True, help="all, a port, or a glob: 'virtual:*'.")
@click.option("--node", "node_type", required=True, help="Node type, such as gas-meter.")
@click.option("--fleet", "url", help="https://HOST:PORT; default: the one that serves --data.")
@click.option(
    "--token", envvar="KAPOK_TOKEN", help="Claim token, or - to type it; also KAPOK_TOKEN."
)
@click.option("--area", default="", help="Area code of new nodes; default: the token's.")
@click.option(
    "--again",
    type=click.Choice(POLICIES),
    help="What becomes of a board that is registered already; without it, you are asked.",
)
@click.option("--door", type=click.Choice(["mqtt", "coap"]), help="Default: CoAP for NB-IoT.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="Calibration.")
@click.option("--baud", type=click.IntRange(9600, 4_000_000), default=460_800, show_default=True)
@click.option("--boot-watch", type=click.FloatRange(0, 600), default=30.0, show_default=True,
              help="Seconds to wait for the self-test; 0: not at all.")  # fmt: skip
@click.option("--wait-report", type=click.FloatRange(0, 86400), default=0.0, show_default=True,
              help="Seconds to wait until the fleet has the node's first report.")  # fmt: skip
@click.option("--offline", is_flag=True, help="No network here: use vouchers of this laptop.")
@click.option(
    "--voucher-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where they are; default: ~/.local/state/kapok/vouchers.json.",
)
@json_option
@one_line_errors
def provision(
    ports: tuple[str, ...],
    node_type: str,
    url: str | None,
    token: str | None,
    area: str,
    again: str | None,
    door: str | None,
    values: tuple[str, ...],
    baud: int,
    boot_watch: float,
    wait_report: float,
    offline: bool,
    voucher_file: Path | None,
    as_json: bool,
) -> None:
    """Give boards their identities: keys, certificate and configuration.

    The keys are made here, in memory, go to the board, and are forgotten. Cut at any point, the
    same command goes on where it was. A board that has its identity is left alone.

    With --offline a board gets a voucher (kapok voucher pull) in place of an identity, which it
    claims at its first contact.

    Example: kapok provision --ports 'virtual:*' --node gas-meter --fleet https://localhost:8443
    """
    from fleet.enrol.client import EnrolClient
    from fleet.flashing import hardware, node_config, secrecy
    from fleet.flashing import ports as found_ports
    from fleet.flashing.esptool_run import Stop
    from fleet.flashing.provision import Order
    from fleet.flashing.provision_many import Source, Watch, provision_many
    from fleet.flashing.vouchers import VoucherFile, default_path

    secrecy.no_dumps()
    kind = hardware.load_node_type(node_type)
    chosen = found_ports.find(ports)
    fleet: Source
    if offline:
        if url or _on_command_line("token") or again or area or wait_report:
            raise click.UsageError(
                "--offline goes without --fleet, --token, --area, --again and --wait-report"
            )
        fleet = VoucherFile(voucher_file or default_path())
    else:
        fleet = EnrolClient(url or _own_fleet(), claim_token(token))
    stop = Stop()
    order = Order(
        kind, _asker(stop), area=area, policy=again or "", door=door or "",
        values=dict(_pair(text) for text in values),
    )  # fmt: skip
    node_config.check(kind, order.values, order.door)

    def say(port: str, step: str) -> None:
        if not as_json:
            click.echo(f"{port}: {step}", err=True)

    def ended(result: "Result") -> None:
        if not as_json:
            click.echo(f"{result.port}: {result.state} in {result.seconds:.1f} s", err=True)

    results = provision_many(
        chosen, fleet, order, watch=Watch(boot_watch, wait_report, baud), stop=stop,
        on_step=say, on_result=ended,
    )  # fmt: skip
    if as_json:
        say_json([_as_json(one) for one in results])
    else:
        _show(results)
    if not all(one.ok for one in results):
        sys.exit(1)


def _on_command_line(name: str) -> bool:
    """Whether an option was typed: a token that the shell's environment holds is in no way."""
    source = click.get_current_context().get_parameter_source(name)  # type: ignore[union-attr]
    return source is ParameterSource.COMMANDLINE


def _show(results: "list[Result]") -> None:
    headings = ["port", "result", "node", "area", "again", "certificate", "s"]
    rows = []
    for one in results:
        done = one.done
        more = [done.node_id, done.area, done.policy, done.serial[:12]] if done else [""] * 4
        rows.append([one.port, one.state, *more, f"{one.seconds:.1f}"])
    say_table("provisioned", headings, rows)
    for one in results:
        if one.error:
            click.echo(f"kapok: {one.error}", err=True)


def _as_json(one: "Result") -> dict[str, Any]:
    done = one.done._asdict() if one.done is not None else {}
    done.pop("at_us", None)
    return {
        "port": one.port, **done, "result": one.state, "seconds": round(one.seconds, 1),
        "selftest": one.selftest, "reported": one.reported, "error": one.error,
    }  # fmt: skip


def _own_fleet() -> str:
    """The fleet that serves this data folder, on a machine that has both."""
    import json

    try:
        run = json.loads((data_folder() / "run.json").read_bytes())
        return str(run["enrol_url"])
    except (OSError, ValueError, KeyError, TypeError):
        raise click.UsageError(
            "--fleet https://HOST:PORT is missing, and no fleet serves --data here"
        ) from None


def claim_token(given: str | None) -> str:
    """The token's text: as given, or typed where that is missing or a dash."""
    if given is None or given == "-":
        if not sys.stdin.isatty() and given is None:
            raise click.UsageError("--token is missing: kapok token add makes one")
        if not sys.stdin.isatty():
            return sys.stdin.readline(200)
        return str(click.prompt("Claim token", hide_input=True, err=True))
    return given


def _asker(stop: Any) -> Callable[[str], str]:
    """Asks on the terminal, one board at a time; an answer for all boards can be given."""
    from fleet.flashing.errors import Interrupted
    from fleet.flashing.provision import NeedsPolicy

    turn = threading.Lock()
    for_all: list[str] = []

    def ask(node_id: str) -> str:
        if not sys.stdin.isatty():
            raise NeedsPolicy(
                f"node {node_id} is registered: --again keep-identity, keep-history or new"
            )
        with turn:
            while not for_all:
                click.echo(
                    f"Node {node_id} is registered: keep-identity, keep-history or new"
                    " (with ! for all boards)? ",
                    nl=False, err=True,
                )  # fmt: skip
                said = _line(stop).strip()
                if said.removesuffix("!") in POLICIES:
                    if said.endswith("!"):
                        for_all.append(said[:-1])
                    return said.removesuffix("!")
                if stop.wanted or not said:
                    raise Interrupted(f"node {node_id}: nothing was answered")
            return for_all[0]

    return ask


def _line(stop: Any) -> str:
    """A line of the terminal; empty at its end, or when the run is to end meanwhile."""
    import select

    while not stop.wanted:
        if select.select([sys.stdin], [], [], 0.2)[0]:
            return sys.stdin.readline(100)
    return ""


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--set {text[:40]!r}: KEY=VALUE")
    digits = value.removeprefix("-")
    whole = digits.isascii() and digits.isdecimal() and len(digits) < 19
    return key, int(value) if whole else value
