"""`kapok coap`."""

import asyncio
import sys
from typing import Any

import rich_click as click

from fleet.cli.common import (
    data_folder,
    json_option,
    log_to_stderr,
    one_line_errors,
    port_or_off,
)
from fleet.settings import load


@click.command()
@click.option("--workers", type=int, default=1, show_default=True, help="How many processes.")
@click.option("--port", metavar="PORT", help="UDP port; 0: any free one.")
@click.option("--worker-socket", type=int, hidden=True)
@json_option
@one_line_errors
def coap(workers: int, port: str | None, worker_socket: int | None, as_json: bool) -> None:
    """Take in reports by CoAP with OSCORE, by several processes on one port.

    It works beside `kapok serve --coap-port off` on the same data folder, and alone. One line
    tells the address when all processes answer. One that ends is started again. Until SIGTERM
    or Ctrl-C; the log goes to standard error.

    Example: kapok coap --workers 4 --port 5683
    """
    settings = load(data_folder(), coap_port=port_or_off(port))
    log_to_stderr()
    if worker_socket is not None:
        from fleet.coap import worker

        asyncio.run(worker.run(settings, worker_socket))
        return
    from fleet.coap import workers as supervisor

    def ready(address: dict[str, Any]) -> None:
        if as_json:
            import json

            click.echo(json.dumps(address))
        else:
            where = f"{address['coap_host']}:{address['coap_port']}"
            click.echo(f"serving: CoAP {where} workers {address['workers']}")
        sys.stdout.flush()

    asyncio.run(supervisor.run(settings, workers, ready))
