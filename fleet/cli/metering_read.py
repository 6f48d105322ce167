"""`kapok metering enrol|read|policy`: which registers are read, daily, and within which limits."""

import rich_click as click

from fleet.cli import migrate_office
from fleet.cli.common import database, json_option, one_line_errors, say_json
from fleet.cli.metering_options import Day, area_option, check_area
from fleet.cli.migrate_office import person_option


@click.command()
@area_option
@click.option("--unit", default="", help="m3, L, Wh, kWh or MWh; default: the quantity's own.")
@click.option("--decimals", type=click.IntRange(0, 9), default=0, help="Of --unit.")
@click.option("--modulus", type=int, help="The count that is shown as 0 again.")
@click.option("--clock-shift", type=int, default=0, help="Seconds to add to its own times.")
@person_option
@json_option
@one_line_errors
def enrol(
    area: str, unit: str, decimals: int, modulus: int | None, clock_shift: int, person: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Bring meters into the ledger that no migration did: each begins at its first reading.

    Example: kapok metering enrol --area 440106
    """
    from fleet.migration.scaling import Meaning
    from fleet.migration.states import Actor
    from fleet.telemetry.metering import enrolling

    by = migrate_office.who(person)
    meaning = Meaning(unit, decimals, modulus, clock_shift) if unit else None
    check_area(area)
    with migrate_office.office() as office:
        with office.database.read() as session:
            assets, silent = enrolling.candidates(session, area)
        done, refused = office.all_or_each(
            assets, Actor.PERSON, by, lambda desk, part: enrolling.enrol(desk, part, meaning)
        )
    waits = [{"asset": asset_id, "why": why} for asset_id, why in refused]
    if as_json:
        say_json({"enrolled": done, "waits": waits, "silent": silent})
        return
    click.echo(f"{len(done)} enrolled, {len(waits)} wait, {silent} have told nothing yet")
    for one in waits:
        click.echo(f"asset id:{one['asset']}: {one['why']}")


@click.command()
@area_option
@click.option("--day", type=Day(), help="The last day to read; default: yesterday.")
@json_option
@one_line_errors
def read(area: str, day: int | None, as_json: bool) -> None:
    """Read each register at the end of each day, estimate what is missing, validate what is there.

    All days since the last run are read. What was estimated is looked at again: a reading that
    came late replaces it. Run it daily, some hours after midnight; twice is once.

    Example: kapok metering read --area 440106
    """
    from fleet.migration.states import Actor
    from fleet.registry.operations import now_us
    from fleet.telemetry.metering import bills, days, reading

    until = days.ended(now_us()) if day is None else day
    check_area(area)
    with migrate_office.office() as office:
        with office.database.read() as session:
            assets = bills.assets_of(session, area)
        done = reading.total(
            office.each(
                assets, Actor.FLEET, "", lambda desk, part: reading.read(desk, part, until)
            )
        )
    if as_json:
        say_json({"until": days.written(until), **done._asdict()})
        return
    read_, estimated = done.days.get("read", 0), sum(done.days.values())
    click.echo(
        f"{done.registers} register(s) to the end of {days.written(until)}: {read_} day(s) read, "
        f"{estimated - read_} estimated; {done.replaced} estimate(s) replaced, "
        f"{done.revised} revised; {done.held} reading(s) held; "
        f"{done.opened} exception(s) opened, {done.cleared} cleared"
    )


@click.command()
@click.argument("register", default="gas_volume")
@click.option("--spike-times", type=int, help="So many times the typical use is a spike,")
@click.option("--spike-floor", type=int, help="but not under this (litres, 10 Wh).")
@click.option("--most-per-day", type=int, help="A spike where nothing is typical yet.")
@click.option("--zero-days", type=int, help="Without any use: an exception.")
@click.option("--missing-days", type=int, help="Without a reading: an exception.")
@click.option("--profile-days", type=int, help="Whose mean is the typical use.")
@click.option("--estimate-days", type=int, help="For how long an estimate grows.")
@click.option("--replace-days", type=int, help="How late a reading may replace an estimate.")
@json_option
@one_line_errors
def policy(register: str, as_json: bool, **given: int | None) -> None:
    """Show the limits of a register's validation and estimation, or set some of them.

    Example: kapok metering policy gas_volume --spike-times 12 --zero-days 60
    """
    from fleet.telemetry.metering import policy as policies
    from fleet.telemetry.metering.errors import MeteringError
    from fleet.telemetry.operations import quantity_code, quantity_name

    code = quantity_code(register)
    fresh = {name: value for name, value in given.items() if value is not None}
    with database() as db, db.begin() as session:
        known = policies.of(session)
        if code not in known:
            names = ", ".join(quantity_name(one) for one in known)
            raise MeteringError(f"{quantity_name(code)} is no register: {names}")
        made = known[code]._replace(**fresh)
        if fresh:
            policies.keep(session, code, made)
    if as_json:
        say_json(made._asdict())
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in made._asdict().items()))
