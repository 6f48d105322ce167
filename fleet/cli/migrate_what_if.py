"""`kapok migrate what-if`: several rules and crews side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table
from fleet.cli.migrate_waves import settings_from, wave_options


@click.command("what-if")
@click.argument("name")
@click.option(
    "--rules", "files", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True, help="Rules to be tried beside the programme's own. Repeat it.",
)  # fmt: skip
@click.option("--crews", type=click.IntRange(0), multiple=True, help="Repeat it.")
@wave_options
@json_option
@one_line_errors
def what_if(
    name: str, files: tuple[Path, ...], crews: tuple[int, ...], as_json: bool, **said: Any
) -> None:
    """Compare a programme as it is with other rules, crews and calendars. Nothing is kept.

    Each rules file is played with each number of crews. `differs` counts terminals with another
    bearer or path than in the first column.

    Example: kapok migrate what-if gas-tianhe --rules cautious.toml --crews 2 --crews 6
    """
    from fleet.migration import planner, rules, wave_settings, whatif
    from fleet.migration.summary import hours, iso_day, yuan

    with database() as db, db.read() as session:
        programme = planner.get(session, name)
        settings = settings_from(wave_settings.of_programme(programme.settings), said)
        own = rules.read(programme.rules, f"the rules of {name}")
        several = [("as planned", own), *((each.name, rules.load(each)) for each in files)]
        found = whatif.run(session, programme.scope, whatif.scenarios(several, crews, settings))
    if as_json:
        say_json([{**one._asdict(), "last_day": iso_day(one.last_day)} for one in found])
        return
    bearers = [each for each in rules.TARGETS if any(each in one.bearers for one in found)]
    rows = [[each, *(str(one.bearers.get(each, 0)) for one in found)] for each in bearers]
    lines: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ("differs", lambda one: str(one.differs)),
        ("visits", lambda one: str(one.visits)),
        ("hours", lambda one: hours(one.minutes)),
        ("yuan", lambda one: yuan(one.fen)),
        ("waves", lambda one: str(one.waves)),
        ("last day", lambda one: iso_day(one.last_day)),
        ("too late", lambda one: str(one.late)),
        ("without a day", lambda one: str(one.unplaced)),
        ("cells", lambda one: str(one.cells)),
        ("overloaded cells", lambda one: str(one.overloaded)),
        ("busiest cell", lambda one: f"{one.busiest_permille / 10:.1f} %"),
    )
    rows += [[title, *(cell(one) for one in found)] for title, cell in lines]
    say_table(f"what if, {name}", ["", *(one.name for one in found)], rows)
