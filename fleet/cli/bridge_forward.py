"""`kapok bridge forward`: readings to an authority's platform, or to a webhook."""

from pathlib import Path

import rich_click as click

from fleet.cli.common import (
    data_folder,
    database,
    json_option,
    log_to_stderr,
    one_line_errors,
    say_json,
)

_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("paths", type=_file, metavar="TARGET...", nargs=-1, required=True)
@click.option("--once", is_flag=True, help="Send what waits now, and end.")
@json_option
@one_line_errors
def forward(paths: tuple[Path, ...], once: bool, as_json: bool) -> None:
    """Tell readings to platforms, each until it is answered; what is not waits.

    Example: kapok bridge forward bureau.toml
    """
    from fleet.bridge import runner
    from fleet.bridge.north import targets
    from fleet.cli.bridge import run_jobs

    log_to_stderr()
    several = [targets.read(path) for path in paths]
    with database() as db:
        run_jobs([lambda one=one: runner.Forwarding(data_folder(), db, one) for one in several],
                 once, as_json)  # fmt: skip


@click.command()
@click.argument("name", metavar="TARGET")
@json_option
@one_line_errors
def requeue(name: str, as_json: bool) -> None:
    """Tell a target once more what was set aside.

    Example: kapok bridge requeue bureau
    """
    from fleet.bridge.errors import BridgeError
    from fleet.bridge.north import outbox
    from fleet.bridge.tables import BridgeTarget

    with database() as db, db.begin() as session:
        if session.get(BridgeTarget, name) is None:
            raise BridgeError(f"there is no target {name[:40]!r}: kapok bridge list")
        count = outbox.requeue(session, name)
    if as_json:
        say_json({"name": name, "queued": count})
    else:
        click.echo(f"{count} message(s) wait again")
