"""`kapok migrate audit`: the proof that no bill was lost."""

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, settings


@click.command()
@click.argument("name")
@click.option(
    "--head", default="", metavar="ID:DIGEST",
    help="The head that an earlier audit told: nothing up to it may be missing.",
)  # fmt: skip
@json_option
@one_line_errors
def audit(name: str, head: str, as_json: bool) -> None:
    """Prove invariants I1 to I7 of a programme from what is stored, and name the first breach.

    Keep the head that it tells elsewhere: who cuts off the newest evidence is seen by it alone.

    Exit code 0: all hold; 1: one does not.

    Example: kapok migrate audit gas-tianhe --json
    """
    from fleet.migration.audit import audit as prove
    from fleet.migration.breaches import INVARIANTS
    from fleet.migration.evidence_key import trusted

    chosen = settings()
    with database(needs=chosen) as db:
        found = prove(db, name, trusted(chosen), head)
    if as_json:
        say_json(found.as_json())
    else:
        click.echo(
            f"{found.programme}: {found.items} items, {found.assets} assets, {found.segments} "
            f"segments, {found.lines} bill lines, {found.facts} facts"
        )
        for invariant, text in INVARIANTS.items():
            click.echo(f"{invariant} looked at {found.checked.get(invariant, 0)} times: {text}")
    if found.breach is not None:
        raise click.ClickException(found.breach.line())
    if not as_json:
        click.echo(f"head {found.head}")
        click.echo("all hold")
