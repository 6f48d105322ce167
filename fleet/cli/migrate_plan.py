"""`kapok migrate plan`: where each terminal of an area moves, how and why."""

from pathlib import Path

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table

rules_option = click.option(
    "--rules", "rules_file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rules of your own; by default those that come along (--print-rules).",
)  # fmt: skip


@click.command()
@click.argument("name", required=False)
@click.option("--area", default="", help="Area code; all whose codes begin so are in it.")
@rules_option
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Of the reasons; default: yours.")
@click.option("--print-rules", is_flag=True, help="Print the rules that come along, and end.")
@json_option
@one_line_errors
def plan(
    name: str | None,
    area: str,
    rules_file: Path | None,
    lang: str | None,
    print_rules: bool,
    as_json: bool,
) -> None:
    """Plan a programme, or plan it anew: for each terminal a bearer, a path and a line of reason.

    Terminals whose migration is under way stay as they are. Items that change lose their wave.

    Example: kapok migrate plan gas-tianhe --area 440106 --rules my-rules.toml
    """
    from fleet import texts
    from fleet.migration import planner, rules, summary

    if print_rules:
        click.echo(rules.DEFAULT.read_text(encoding="utf-8"), nl=False)
        return
    if name is None:
        raise click.UsageError("NAME of the programme, or --print-rules")
    chosen = rules.load(rules_file)
    with database() as db, db.begin() as session:
        programme = planner.make(session, name, area, chosen)
        done = planner.plan(session, programme, chosen, lang or texts.language())
        found = summary.of(session, programme)
    if as_json:
        say_json({"programme": name, **done._asdict(), **found.as_json()})
        return
    say_table(f"programme {name}, area {programme.scope}", summary.HEADINGS, found.rows())
    click.echo(
        f"{done.added} added, {done.changed} changed, {done.reworded} reworded, {done.same} as"
        f" before, {done.removed} removed, {done.under_way} under way"
    )
    click.echo(found.line())
