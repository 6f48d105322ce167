"""`kapok migrate work`: orders for technicians, also without a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli import field_acts, migrate_office
from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table
from fleet.cli.field_acts import person_option
from fleet.cli.migrate_office import item_option, wave_option

if TYPE_CHECKING:
    from fleet.migration.work_acts import Act

_queue = click.option(
    "--queue",
    type=click.Path(path_type=Path, dir_okay=False),
    help="No fleet within reach: add the act to this file, for kapok migrate work replay.",
)


@click.group()
def work() -> None:
    """Work orders: what to do where, who is on his way, what was done.

    Example: kapok migrate work list gas-tianhe --json > orders.json
    """


@work.command("list")
@click.argument("name")
@wave_option
@click.option("--after", type=click.IntRange(0), default=0, help="Orders behind this number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def list_(name: str, wave: int | None, after: int, limit: int, as_json: bool) -> None:
    """List the jobs that are not done. With --json into a file it goes along to the basement.

    Example: kapok migrate work list gas-tianhe --wave 1
    """
    from fleet.migration import work as jobs
    from fleet.migration.audit import find

    with database() as db, db.read() as session:
        programme = find(session, name)
        orders = jobs.orders(session, programme.id, after=after, limit=limit, wave=wave)
    if as_json:
        say_json([one._asdict() for one in orders])
        return
    say_table(
        f"work orders of {programme.name}",
        ["order", "kind", "state", "asset", "address", "area", "old", "IMEI", "path", "with"],
        [
            [str(one.id), one.kind, one.state, one.asset, one.address, one.area,
             one.old_terminal_id, one.imei, one.path, one.person]
            for one in orders
        ],
    )  # fmt: skip


@work.command()
@click.argument("name")
@item_option
@wave_option
@click.option("--check", "check_name", default="", help="Note this check of the items first.")
@click.option("--failed", default="", metavar="WHY", help="The check did not pass.")
@click.option("--unit", default="", help="How the old terminals' registers are read; m3, L, ...")
@click.option("--decimals", type=click.IntRange(0, 9), default=0, help="With --unit.")
@click.option("--modulus", type=click.IntRange(10), help="The count that is shown as 0 again.")
@click.option("--clock-shift", type=int, default=0, help="Seconds to add to their own times.")
@click.option("--step", type=click.IntRange(1), default=1, help="Counts that a dial moves by.")
@person_option
@json_option
@one_line_errors
def ready(
    name: str, item_ids: tuple[int, ...], wave: int | None, check_name: str, failed: str,
    unit: str, decimals: int, modulus: int | None, clock_shift: int, step: int, person: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Make items ready whose pre-flight checks passed: their registers come into the ledger, a
    work order is made. The checks are sim-unbound, whitelist, firmware, spare and keys; a path
    needs some of them.

    Example: kapok migrate work ready gas-tianhe --wave 1 --check sim-unbound
    """
    from fleet.migration import moves, preflight, states
    from fleet.migration.scaling import Meaning
    from fleet.migration.states import Actor

    by = field_acts.who(person)
    wanted = (states.PLANNED, states.ROLLED_BACK)
    meaning = Meaning(unit, decimals, modulus, clock_shift, step) if unit else None
    with migrate_office.programme(name) as opened:
        ids = migrate_office.those(opened, wanted, wave, item_ids)
        if check_name:
            opened.office.each(
                ids, Actor.PERSON, by,
                lambda desk, some: preflight.note(
                    desk, some, check_name, failed, passed=not failed
                ),
            )  # fmt: skip

        def make(desk: Any, some: Any) -> list[int]:
            assets = [item.asset_id for item in moves.find(desk, some)]
            return preflight.make_ready(
                desk, some, {} if meaning is None else dict.fromkeys(assets, meaning)
            )

        done, refused = opened.office.all_or_each(ids, Actor.FLEET, "", make)
        left = sorted(set(ids) - set(done) - {one for one, _ in refused})
        waits = []
        for start in range(0, len(left), 500):
            with opened.office.database.read() as session:
                desk = opened.office.desk(session, Actor.FLEET)
                for one, standing in preflight.standing(desk, left[start : start + 500]).items():
                    waits.append((one, f"not passed: {', '.join(standing.missing)}"))
    migrate_office.say([{"item": one} for one in done], waits, refused, "ready", as_json)


@work.command()
@click.argument("order", type=click.IntRange(1))
@person_option
@_queue
@json_option
@one_line_errors
def start(order: int, person: str, queue: Path | None, as_json: bool) -> None:
    """Take an order: others see with whom it is.

    Example: kapok migrate work start 17 --queue acts.jsonl
    """
    from fleet.migration.work_acts import Start
    from fleet.registry.acts import new_id
    from fleet.registry.operations import now_us

    _do(Start(new_id(), now_us(), field_acts.who(person), order), queue, as_json)


@work.command()
@click.argument("order", type=click.IntRange(1))
@click.option("--old", required=True, help="Scan of what was there: label, IMEI, or id.")
@click.option("--new", default="", help="Scan of what was put in; empty: as the path has it.")
@click.option(
    "--mode", type=click.Choice(["beside", "instead"]), default="beside", show_default=True,
    help="Whether the old one stays for a dual run.",
)  # fmt: skip
@click.option("--final", default="", help="What the old dial shows, such as 1234.567.")
@click.option("--initial", default="", help="What the new dial shows.")
@click.option("--unit", default="", help="Of the new register, where it is not its quantity's.")
@click.option("--decimals", type=click.IntRange(0, 9), default=0, help="With --unit.")
@click.option("--modulus", type=click.IntRange(0), default=0, help="With --unit; 0: none.")
@click.option(
    "--photo", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    help="Photo of both dials; its path and SHA-256 are noted.",
)  # fmt: skip
@click.option("--note", default="", help="What else there is to say.")
@click.option("--iccid", default="", help="Of the card or profile that came into the same one.")
@person_option
@_queue
@json_option
@one_line_errors
def done(
    order: int, old: str, new: str, mode: str, final: str, initial: str, unit: str, decimals: int,
    modulus: int, photo: Path | None, note: str, iccid: str, person: str, queue: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Tell that an order was carried out: scan old and new, read both dials, take a photo.

    Example: kapok migrate work done 17 --old 867997041234567 --new 'kapok:1gntj14d2p;c=a2fd'
    --final 1234.567 --initial 0.012 --photo dials.jpg
    """
    from fleet.migration.work_acts import Done, check
    from fleet.registry.acts import new_id
    from fleet.registry.operations import now_us

    path, sha256 = field_acts.photo(photo)
    act = Done(
        new_id(), now_us(), field_acts.who(person), order, old, new, mode, final, initial, unit,
        decimals, modulus, path, sha256, note, iccid,
    )  # fmt: skip
    _do(check(Done, act._asdict()), queue, as_json)


@work.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@one_line_errors
def replay(path: Path, as_json: bool) -> None:
    """Take in every act of a file; each is done once, however often this is repeated.

    Example: kapok migrate work replay acts.jsonl
    """
    from fleet.errors import Refusal
    from fleet.migration import work as jobs
    from fleet.migration import work_acts
    from fleet.migration.states import Actor

    results: list[dict[str, Any]] = []
    with migrate_office.office() as office:
        for number, line in field_acts.lines(path):
            try:
                act = work_acts.decode(line)
                with office.database.begin() as session:
                    desk = office.desk(session, Actor.TECHNICIAN, act.person)
                    taken = jobs.take_in(desk, act)
                results.append({"line": number, **taken._asdict()})
            except Refusal as e:
                results.append({"line": number, "refused": str(e)})
    if as_json:
        say_json(results)
    else:
        for one in results:
            click.echo(f"{path}:{one['line']}: {one.get('said') or 'refused: ' + one['refused']}")
    failed = sum(1 for one in results if "refused" in one)
    if failed:
        raise click.ClickException(
            f"{failed} of {len(results)} acts refused; the others are taken in, once for ever"
        )


@work.command("send-back")
@click.argument("item", type=click.IntRange(1))
@person_option
@json_option
@one_line_errors
def send_back(item: int, person: str, as_json: bool) -> None:
    """Order a visit that puts an old terminal in again.

    Example: kapok migrate work send-back 17
    """
    from fleet.migration import work as jobs
    from fleet.migration.states import Actor

    by = field_acts.who(person)
    with migrate_office.office() as office, office.database.begin() as session:
        order = jobs.send_back(office.desk(session, Actor.PERSON, by), item)
    if as_json:
        say_json({"order": order})
    else:
        click.echo(f"order {order}: item {item} gets its old terminal back")


def _do(act: "Act", queue: Path | None, as_json: bool) -> None:
    from fleet.migration import work as jobs
    from fleet.migration import work_acts
    from fleet.migration.states import Actor

    if queue is not None:
        field_acts.append(queue, work_acts.encode(act).encode() + b"\n")
        said: dict[str, Any] = {"id": act.id, "queued": str(queue)}
        text = f"queued in {queue}: kapok migrate work replay {queue} when the fleet is in reach"
    else:
        with migrate_office.office() as office, office.database.begin() as session:
            taken = jobs.take_in(office.desk(session, Actor.TECHNICIAN, act.person), act)
        said, text = taken._asdict(), taken.said
    if as_json:
        say_json(said)
    else:
        click.echo(text)
