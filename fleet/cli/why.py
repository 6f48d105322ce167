"""`kapok why`: what a node was offered, what it answered, and what it waits for."""

import rich_click as click

from fleet import texts
from fleet.cli.common import database, json_option, one_line_errors, say_json


@click.command()
@click.argument("node_id", metavar="NODE")
@click.option("--lang", type=click.Choice(texts.LANGUAGES), help="Language; default: LANG.")
@json_option
@one_line_errors
def why(node_id: str, lang: str | None, as_json: bool) -> None:
    """Tell the story of a node's updates: what it runs, what it was offered and answered, what it
    waits for, and until when.

    Example: kapok why 1gntj14d2p
    """
    from fleet.registry.operations import check_node_id
    from fleet.updates import wording
    from fleet.updates.story import story

    spoken = lang or texts.language()
    with database() as db, db.read() as session:
        found = story(session, check_node_id(node_id))
    if as_json:
        say_json(wording.said(found, spoken))
        return
    click.echo(f"{found.node_id}: {wording.runs_text(found, spoken)}")
    for line in found.lines:
        click.echo(f"  {wording.iso(line.at_us)}  {wording.line_text(line, spoken)}")
    click.echo(wording.waits_text(found.waits, spoken))
