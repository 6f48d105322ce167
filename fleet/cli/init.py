"""`kapok init`."""

import rich_click as click

from fleet.cli.common import data_folder, json_option, one_line_errors, say_json


@click.command()
@json_option
@one_line_errors
def init(as_json: bool) -> None:
    """Make a data folder: settings, certificate authority, database, wrapping key.

    On a folder that exists it makes what is missing and brings the database up to date; nothing
    is overwritten.

    Example: kapok --data /srv/kapok init
    """
    from fleet.setup import init as make

    lines = make(data_folder())
    if as_json:
        say_json({"data": str(data_folder()), "done": lines})
    else:
        click.echo("\n".join(lines))
