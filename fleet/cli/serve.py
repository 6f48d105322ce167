"""`kapok serve`."""

import asyncio
import sys
from typing import Any

import rich_click as click

from fleet.cli.common import data_folder, json_option, one_line_errors
from fleet.settings import load


@click.command()
@click.option("--port", type=int, help="Port of the API; 0: any free one.")
@click.option("--broker-port", type=int, help="Port of the embedded broker; 0: any free one.")
@click.option("--broker", metavar="HOST:PORT", help="Use this broker instead of the embedded one.")
@json_option
@one_line_errors
def serve(port: int | None, broker_port: int | None, broker: str | None, as_json: bool) -> None:
    """Run broker, ingest and API until SIGTERM or Ctrl-C.

    One line tells the addresses when all parts run; they are in DATA/run.json as well, with
    api_port, broker_host, broker_port and pid. The log goes to standard error.

    Example: kapok serve --port 8080 --broker-port 8883
    """
    settings = load(data_folder(), port=port, broker_port=broker_port, broker=broker)
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    from fleet import app

    def ready(addresses: dict[str, Any]) -> None:
        if as_json:
            import json

            click.echo(json.dumps(addresses))
        else:
            where = f"{addresses['broker_host']}:{addresses['broker_port']}"
            click.echo(f"serving: API {addresses['api']} broker {where}")
        sys.stdout.flush()

    asyncio.run(app.serve(settings, ready))
