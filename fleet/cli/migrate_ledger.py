"""`kapok migrate ledger`: registers across terminals, the parity gate, bills, times."""

import rich_click as click

from fleet.cli import migrate_office
from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
)
from fleet.cli.control_options import Duration
from fleet.cli.migrate_office import item_option, person_option, wave_option


@click.group()
def ledger() -> None:
    """The continuity ledger: by which terminal an asset is billed, and from which index on.

    Example: kapok migrate ledger show 17
    """


@ledger.command()
@click.argument("asset_id", type=click.IntRange(1))
@json_option
@one_line_errors
def show(asset_id: int, as_json: bool) -> None:
    """Show an asset's segments and bill lines, and its index now.

    Example: kapok migrate ledger show 17 --json
    """
    from fleet.migration import listing

    with database() as db, db.read() as session:
        shown = listing.of_asset(session, asset_id)
    if as_json:
        say_json(shown)
        return
    say_table(
        f"asset id:{asset_id}, billed by",
        ["terminal", "from", "to", "from index", "to index", "why", "tied by"],
        [
            [one["terminal"], iso(one["from_us"]), iso(one["to_us"]), str(one["from_index"]),
             "" if one["to_index"] is None else str(one["to_index"]), one["why"], one["pair"]]
            for one in shown["segments"]
        ],
    )  # fmt: skip
    for over in (one["over"] for one in shown["segments"] if one["over"]):
        click.echo(f"It ended {over} under what was estimated and billed: give that back.")
    say_table(
        "bill lines",
        ["from", "to", "from index", "to index", "used", "quality"],
        [
            [iso(one["from_us"]), iso(one["to_us"]), str(one["from_index"]),
             str(one["to_index"]), str(one["used"]), one["reason"] or "good"]
            for one in shown["lines"]
        ],
    )  # fmt: skip


@ledger.command()
@click.argument("name")
@click.option("--state", default="", help="Only items in this state.")
@click.option("--after", type=click.IntRange(0), default=0, help="Items behind this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def items(name: str, state: str, after: int, limit: int, as_json: bool) -> None:
    """List a programme's items: how far each is, and what the parity gate said last.

    Example: kapok migrate ledger items gas-tianhe --state installed
    """
    from fleet.migration import items as those
    from fleet.migration.audit import find

    with database() as db, db.read() as session:
        programme = find(session, name)
        shown = those.shown(session, programme.id, state, after, limit)
        counts = those.counts(session, programme.id)
    if as_json:
        say_json({"counts": counts, "items": [one._asdict() for one in shown]})
        return
    say_table(
        ", ".join(f"{count} {state}" for state, count in sorted(counts.items())),
        ["item", "asset", "old", "new", "path", "state", "since", "back until", "gate"],
        [
            [str(one.id), str(one.asset_id), one.old_terminal_id, one.new_terminal_id or "",
             one.path, one.state, iso(one.at_us), iso(one.deadline_us), one.verdict]
            for one in shown
        ],
    )  # fmt: skip


@ledger.command()
@click.argument("name")
@item_option
@wave_option
@json_option
@one_line_errors
def gate(name: str, item_ids: tuple[int, ...], wave: int | None, as_json: bool) -> None:
    """Compare what is installed with what is billed; what passes waits for its cut-over.

    Example: kapok migrate ledger gate gas-tianhe
    """
    from fleet.migration import gate as parity
    from fleet.migration import states
    from fleet.migration.states import Actor

    with migrate_office.programme(name) as opened:
        ids = migrate_office.those(opened, (states.INSTALLED,), wave, item_ids)
        verdicts, refused = opened.office.all_or_each(ids, Actor.FLEET, "", parity.judge)
    done = [{"item": one.item_id, "text": one.text} for one in verdicts if one.passed]
    waits = [(one.item_id, one.text) for one in verdicts if not one.passed]
    migrate_office.say(done, waits, refused, "passed", as_json)


@ledger.command()
@click.argument("name")
@click.option(
    "--at", "at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), default=None,
    help="The end of the period, UTC; default: now.",
)  # fmt: skip
@person_option
@json_option
@one_line_errors
def freeze(name: str, at: object, person: str, as_json: bool) -> None:
    """Close a period of the bill for a programme's assets: done once, however often repeated.

    Example: kapok migrate ledger freeze gas-tianhe --at 2026-12-01
    """
    from datetime import UTC, datetime

    from fleet.migration import billing, policy
    from fleet.migration import items as those
    from fleet.migration.states import Actor
    from fleet.registry.operations import now_us

    to_us = now_us()
    if isinstance(at, datetime):
        to_us = int(at.replace(tzinfo=UTC).timestamp()) * policy.US
    by = migrate_office.who(person)
    with migrate_office.programme(name) as opened:
        with opened.office.database.read() as session:
            assets = those.assets(session, opened.programme_id)
            limits = policy.of(session, opened.programme_id)
        lines = opened.office.each(
            assets, Actor.PERSON, by,
            lambda desk, some: billing.freeze(desk, some, to_us, limits),
        )  # fmt: skip
    estimated = sum(1 for line in lines if line.quality)
    if as_json:
        said = {"to_us": to_us, "lines": len(lines), "estimated": estimated}
        say_json({**said, "used": sum(line.to_index - line.from_index for line in lines)})
    else:
        click.echo(f"{len(lines)} bill lines to {iso(to_us)}, {estimated} of them estimated")


@ledger.command()
@click.argument("name")
@click.option("--dual", type=Duration(), help="How long both must be heard, such as 7d.")
@click.option("--compared", type=int, help="How many readings must agree.")
@click.option("--gap", type=Duration(), help="A longer time without a reading is an estimate.")
@click.option("--back", type=Duration(), help="How long after the cut-over one may roll back.")
@click.option(
    "--most-per-day",
    type=int,
    help="A dial or reading over it is wrong (litres).",
)
@person_option
@json_option
@one_line_errors
def policy(
    name: str, dual: int | None, compared: int | None, gap: int | None, back: int | None,
    most_per_day: int | None, person: str, as_json: bool,
) -> None:  # fmt: skip
    """Show a programme's times, or set some of them; what is set is put on record.

    Example: kapok migrate ledger policy gas-tianhe --dual 14d --back 60d
    """
    from fleet.migration import policy as policies
    from fleet.migration.audit import find
    from fleet.migration.states import Actor

    given = {
        "dual_s": dual, "compared": compared, "gap_s": gap, "rollback_s": back,
        "most_per_day": most_per_day,
    }  # fmt: skip
    fresh = {key: value for key, value in given.items() if value is not None}
    if fresh:
        by = migrate_office.who(person)
        with migrate_office.office() as office, office.database.begin() as session:
            programme = find(session, name)
            made = policies.of(session, programme.id)._replace(**fresh)
            policies.keep(office.desk(session, Actor.PERSON, by), programme.id, made)
    else:
        with database() as db, db.read() as session:
            made = policies.of(session, find(session, name).id)
    if as_json:
        say_json(made._asdict())
    else:
        click.echo(", ".join(f"{key} {value}" for key, value in made._asdict().items()))


@ledger.command()
@click.argument("asset_id", type=click.IntRange(1))
@click.option(
    "--kind", type=click.Choice(["unit", "clock", "set"]), required=True,
    help="What changed: unit or decimals, clock or counter, or the register was set.",
)  # fmt: skip
@click.option("--unit", help="m3, L, Wh, kWh or MWh; default, as below: as it was.")
@click.option("--decimals", type=int)
@click.option("--modulus", type=int, help="The count that is shown as 0 again; 0: never.")
@click.option("--clock-shift", type=int, help="Seconds to add to its own times.")
@click.option("--step", type=click.IntRange(1), help="Counts that its dial moves by.")
@click.option(
    "--last", type=int,
    help="Counts before the change; only with --kind set the default is what it reported last.",
)  # fmt: skip
@click.option("--first", type=int, required=True, help="Counts that it shows now.")
@person_option
@json_option
@one_line_errors
def change(
    asset_id: int, kind: str, unit: str | None, decimals: int | None, modulus: int | None,
    clock_shift: int | None, step: int | None, last: int | None, first: int, person: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Note that the billed terminal counts otherwise from now on: another unit, clock or register.

    Example: kapok migrate ledger change 17 --kind unit --unit m3 --decimals 3 --last 12345
    --first 1234567
    """
    from fleet.migration import adopting
    from fleet.migration.breaches import LedgerError
    from fleet.migration.states import Actor
    from fleet.registry.operations import now_us

    told = adopting.Told(unit, decimals, modulus, clock_shift, step)
    by = migrate_office.who(person)
    with migrate_office.office() as office, office.database.begin() as session:
        desk = office.desk(session, Actor.PERSON, by)
        register = adopting.registers_of(desk, [asset_id]).get(asset_id)
        if register is None:
            raise LedgerError(f"asset id:{asset_id} has no register: kapok migrate show")
        meaning = adopting.read_now(desk, asset_id, register, told)
        adopting.changed(desk, asset_id, register, meaning, kind, now_us(), last, first)
    if as_json:
        say_json({"asset_id": asset_id, "kind": kind, **meaning._asdict()})
    else:
        click.echo(f"asset id:{asset_id}: {kind} noted")
