"""`kapok modem-files`."""

import asyncio
import sys

import rich_click as click

from fleet.cli.common import database, json_option, log_to_stderr, one_line_errors


@click.command("modem-files")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8090, show_default=True,
    help="TCP port; 0: any free one.",
)  # fmt: skip
@json_option
@one_line_errors
def modem_files(host: str, port: int, as_json: bool) -> None:
    """Give modems their firmware over plain HTTP, of promoted releases that have some.

    Nodes are told where it is by the configuration key fota. It may run on a machine of its own
    that reads the same database. Until SIGTERM or Ctrl-C; the log goes to standard error.

    Example: kapok modem-files --host 0.0.0.0 --port 8090
    """
    from fleet.app import listen
    from fleet.updates import modem_files as files

    log_to_stderr()

    def ready(number: int) -> None:
        where = f"{host}:{number}{files.PREFIX}"
        if as_json:
            import json

            click.echo(json.dumps({"host": host, "port": number, "fota": where}))
        else:
            click.echo(f"serving modem firmware: configuration fota={where}")
        sys.stdout.flush()

    with database() as opened, listen(host, port, "the server of modem firmware") as sock:
        asyncio.run(files.serve(opened, sock, ready))
