"""`kapok legacy serve`."""

import asyncio
import json
import sys
from typing import Any

import rich_click as click

from fleet.cli.common import (
    data_folder,
    database,
    json_option,
    log_to_stderr,
    one_line_errors,
    port_or_off,
    settings,
)


@click.command()
@click.option("--host", help="Address to listen at; 0.0.0.0: all of this machine.")
@click.option("--hj212-port", metavar="PORT", help="HJ 212, TCP and UDP; 0: any free; off: none.")
@click.option("--sl651-port", metavar="PORT", help="SL 651, TCP and UDP; 0: any free; off: none.")
@click.option("--dtu-port", metavar="PORT", help="DTUs, of the first [[dtu]]; 0: any; off: none.")
@click.option("--connections", type=int, help="How many at once at most.")
@json_option
@one_line_errors
def serve(
    host: str | None,
    hj212_port: str | None,
    sl651_port: str | None,
    dtu_port: str | None,
    connections: int | None,
    as_json: bool,
) -> None:
    """Take in what old terminals send, until SIGTERM or Ctrl-C.

    It works beside `kapok serve` on the same data folder, and alone. Stations of HJ 212 and
    SL 651 are answered behind the commit; meters behind DTUs are asked, read only. What nobody
    knows is kept: kapok legacy strangers. Options win over legacy.toml in the data folder. One
    line tells the ports; the log goes to standard error.

    Example: kapok legacy serve --host 0.0.0.0 --hj212-port 9212 --sl651-port 9651 --dtu-port 9645
    """
    from fleet.legacy import config, listeners

    ports = {
        name: port_or_off(text)
        for name, text in (("hj212", hj212_port), ("sl651", sl651_port), ("dtu", dtu_port))
    }
    chosen = config.load(data_folder(), host, connections, ports)
    log_to_stderr()

    def ready(addresses: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps(addresses))
        else:
            told = [f"{name} {addresses[f'{name}_port']}" for name in ("hj212", "sl651", "dtu")
                    if f"{name}_port" in addresses]  # fmt: skip
            click.echo(f"serving old terminals at {addresses['host']}: {', '.join(told)}")
        sys.stdout.flush()

    with database(needs=settings()) as opened:
        asyncio.run(listeners.serve(opened, chosen, ready))
