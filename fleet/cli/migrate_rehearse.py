"""`kapok migrate rehearse`: a whole programme in fast time, on a copy, before anybody drives."""

from typing import TYPE_CHECKING

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table

if TYPE_CHECKING:
    from fleet.migration.rehearsal.run import Rehearsed


@click.command()
@click.argument("name")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of chance.")
@click.option(
    "--rollbacks", type=click.IntRange(0), default=None,
    help="Items that are rolled back once; default: one of fifty.",
)  # fmt: skip
@click.option("--calm", is_flag=True, help="Nothing goes wrong: no lost report, no shut door.")
@json_option
@one_line_errors
def rehearse(name: str, seed: int, rollbacks: int | None, calm: bool, as_json: bool) -> None:
    """Play a programme from its first wave to its last decommissioning, in fast time.

    Simulated terminals speak their protocols, nodes report, crews visit, the office cuts over,
    rolls back, bills and lets go, on a copy: nothing of the fleet's own database changes. Against
    the truth of the simulation it tells what was lost, billed twice or estimated, which cells and
    which crews had too much, and who was late. Exit code 1 where a reading or a bill was harmed.

    Example: kapok migrate rehearse gas-tianhe --seed 7
    """
    from fleet.migration.rehearsal.alone import rehearse_copy

    with database() as db:
        found = rehearse_copy(db, name, seed=seed, rollbacks=rollbacks, calm=calm)
    if as_json:
        say_json(found.as_json())
    else:
        _say(name, found)
    if not found.is_well:
        raise click.ClickException(f"{name}: a reading or a bill was harmed")


def _say(name: str, found: "Rehearsed") -> None:
    proof, days = found.verdict, f"{found.days} days"
    click.echo(f"{name}: {found.moved} of {found.items} terminals move, {days}")
    done = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
    click.echo(f"items: {done}; rolled back: {sum(found.rolled_back.values())}")
    click.echo(
        f"readings: {proof.told} told, {proof.stored} stored, {proof.lost} lost, "
        f"{proof.twice} twice, {proof.altered} terminals altered, {proof.kept} nobody's"
    )
    click.echo(
        f"bills: {proof.lines} lines of {proof.registers} registers, {len(proof.more)} billed "
        f"twice, {len(proof.less)} lost, {proof.ahead} lines ahead"
    )
    estimated = ", ".join(f"{count} {why}" for why, count in sorted(proof.estimated.items()))
    hours = proof.longest_gap_us // 3_600_000_000
    click.echo(f"gaps: {estimated or 'none'}; the longest {hours} h")
    if found.cells:
        say_table(
            "overloaded cells",
            ["operator", "cell", "what", "busiest hour", "devices", "at"],
            [
                [one.operator, one.cell, one.what, f"{one.busy_permille / 10:.1f} %",
                 str(one.devices), iso(one.hour_us)]
                for one in found.cells
            ],
        )  # fmt: skip
    else:
        click.echo("cells: none is overloaded")
    if found.crews:
        worst = max(found.crews, key=lambda one: one.left)
        click.echo(
            f"crews: {len(found.crews)} days with too much, at most {worst.left} visits left over"
        )
    else:
        click.echo("crews: no day had too much")
    if found.late:
        click.echo(f"late: {len(found.late)} items, by {max(found.late.values())} days at most")
    for why, count in sorted(found.refused.items(), key=lambda one: -one[1])[:10]:
        click.echo(f"refused {count} times: {why}")
    click.echo(f"audit: {found.breach or 'I1 to I7 and the evidence hold'}")
