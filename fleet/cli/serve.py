"""`kapok serve`."""

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
@click.option("--port", type=int, help="Port of the API; 0: any free one.")
@click.option("--broker-port", type=int, help="Port of the embedded broker; 0: any free one.")
@click.option("--coap-port", metavar="PORT", help="Port for CoAP; 0: any free one; off: none.")
@click.option(
    "--enrol-port", metavar="PORT", help="Port for provisioning; 0: any free one; off: none."
)
@click.option(
    "--updates-port", metavar="PORT", help="Port for updates by HTTPS; 0: any free one; off: none."
)
@click.option("--broker", metavar="HOST:PORT", help="Use this broker instead of the embedded one.")
@json_option
@one_line_errors
def serve(
    port: int | None,
    broker_port: int | None,
    coap_port: str | None,
    enrol_port: str | None,
    updates_port: str | None,
    broker: str | None,
    as_json: bool,
) -> None:
    """Run broker, ingest, CoAP and API until SIGTERM or Ctrl-C.

    One line tells the addresses when all parts run; they are in DATA/run.json as well, with
    api_port, broker_host, broker_port, coap_host, coap_port, enrol_url, updates_host, updates_port
    and pid. The log goes to standard error.

    Example: kapok serve --port 8080 --broker-port 8883
    """
    settings = load(
        data_folder(),
        port=port,
        broker_port=broker_port,
        broker=broker,
        coap_port=port_or_off(coap_port),
        enrol_port=port_or_off(enrol_port),
        updates_port=port_or_off(updates_port),
    )
    log_to_stderr()
    from fleet import app

    def ready(addresses: dict[str, Any]) -> None:
        if as_json:
            import json

            click.echo(json.dumps(addresses))
        else:
            where = f"{addresses['broker_host']}:{addresses['broker_port']}"
            coap = "off"
            if "coap_port" in addresses:
                coap = f"{addresses['coap_host']}:{addresses['coap_port']}"
            enrol = addresses.get("enrol_url", "off")
            updates = "off"
            if "updates_port" in addresses:
                updates = f"{addresses['updates_host']}:{addresses['updates_port']}"
            click.echo(
                f"serving: API {addresses['api']} broker {where} CoAP {coap} enrolment {enrol} "
                f"updates {updates}"
            )
        sys.stdout.flush()

    asyncio.run(app.serve(settings, ready))
