"""`kapok rollout approve|start|pause|resume|cancel|retry`: what persons do to a rollout."""

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, settings
from fleet.cli.control_options import by_option
from fleet.whoami import account, user_name


def add_acts(group: click.RichGroup) -> None:
    """Put the commands of this module into `group`."""
    for command in (approve, start, pause, resume, cancel, retry):
        group.add_command(command)


@click.command()
@click.argument("name")
@by_option
@json_option
@one_line_errors
def approve(name: str, by: str, as_json: bool) -> None:
    """Approve a rollout that another person made, under another account of this machine.

    Example: kapok rollout approve july --by "Wang Fang"
    """
    from fleet.rollouts import lifecycle

    chosen, who = settings(), by or user_name()
    with database(needs=chosen) as db, db.begin() as session:
        row = lifecycle.find(session, name)
        lifecycle.approve(session, row, who, account=account(), one_account=chosen.one_account)
    _said(name, f"approved by {who}", as_json)


@click.command()
@click.argument("name")
@by_option
@json_option
@one_line_errors
def start(name: str, by: str, as_json: bool) -> None:
    """Let a rollout begin; `kapok serve` makes the offers.

    Example: kapok rollout start july
    """
    _act("start", name, by, "started", as_json)


@click.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="The emergency stop: every rollout.")
@by_option
@json_option
@one_line_errors
def pause(name: str | None, every: bool, by: str, as_json: bool) -> None:
    """Make no more offers, and take back what no node has taken yet. Nodes go on with what they
    have taken; `cancel` takes that back too.

    Example: kapok rollout pause --all
    """
    from fleet.rollouts import lifecycle

    if bool(name) == every:
        raise click.UsageError("one rollout, or --all")
    if name:
        _act("pause", name, by, "paused", as_json)
        return
    with database() as db, db.begin() as session:
        count = lifecycle.pause_all(session, by or user_name())
    if as_json:
        say_json({"paused": count})
    else:
        click.echo(f"{count} rollout(s) paused: kapok rollout list")


@click.command()
@click.argument("name")
@by_option
@json_option
@one_line_errors
def resume(name: str, by: str, as_json: bool) -> None:
    """Go on with a rollout that was paused.

    Example: kapok rollout resume july
    """
    _act("resume", name, by, "resumed", as_json)


@click.command()
@click.argument("name")
@by_option
@json_option
@one_line_errors
def cancel(name: str, by: str, as_json: bool) -> None:
    """End a rollout: take back what was offered. A node that is installing may still succeed.

    Example: kapok rollout cancel july
    """
    _act("cancel", name, by, "is being cancelled", as_json)


@click.command()
@click.argument("name")
@by_option
@json_option
@one_line_errors
def retry(name: str, by: str, as_json: bool) -> None:
    """Try again the nodes that failed, and only those; a rollout that was stopped, or is finished,
    goes on. What a node refused for good is not tried again.

    Example: kapok rollout retry july
    """
    from fleet.rollouts import retrying

    with database() as db:
        total = retrying.retry(db, name, by or user_name())
    if as_json:
        say_json({"rollout": name, "nodes": total})
    else:
        click.echo(f"rollout {name}: {total} node(s) are tried again")


def _act(act: str, name: str, by: str, said: str, as_json: bool) -> None:
    from fleet.rollouts import lifecycle

    with database() as db, db.begin() as session:
        row = lifecycle.find(session, name)
        getattr(lifecycle, act)(session, row, by or user_name())
    _said(name, said, as_json)


def _said(name: str, said: str, as_json: bool) -> None:
    if as_json:
        say_json({"rollout": name, "said": said})
    else:
        click.echo(f"rollout {name} {said}")
