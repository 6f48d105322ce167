"""`kapok legacy terminals|strangers|tolerate`: who speaks as an old terminal."""

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table


@click.command()
@click.option("--after", default="", help="Go on behind this id.")
@json_option
@one_line_errors
def terminals(after: str, as_json: bool) -> None:
    """Old terminals that were heard: from where, how, and what of theirs is not understood.

    Example: kapok legacy terminals
    """
    from fleet.legacy import terminals as lists

    with database() as opened, opened.read() as session:
        found = lists.speaking(session, after)
    if as_json:
        say_json(
            [
                {**one._asdict(), "heard": iso(one.heard_us), "since": iso(one.since_us)}
                for one in found
            ]
        )
        return
    headings = [
        "terminal", "number", "protocol", "address", "state", "heard", "from", "moves",
        "variant", "conflicts", "not understood",
    ]  # fmt: skip
    rows = [
        [
            one.terminal_id, one.number, one.protocol, one.address, one.state, iso(one.heard_us),
            one.peer, str(one.moves), one.used or (one.allowed and f"({one.allowed})"),
            str(one.conflicts), " ".join(one.unmapped),
        ]
        for one in found
    ]  # fmt: skip
    say_table("old terminals", headings, rows)


@click.command()
@click.option("--take-in", is_flag=True, help="Store what was kept of those that are known now.")
@click.option(
    "--forget", metavar="ADDRESS",
    help="Drop what came under this address, or last from this network address.",
)  # fmt: skip
@json_option
@one_line_errors
def strangers(take_in: bool, forget: str | None, as_json: bool) -> None:
    """What came in and is nobody's: unknown terminals and meters, retired ones. It is kept, within
    bounds, until the inventory knows whose it is; then --take-in makes readings of it. Who is
    unknown and silent goes after 180 days, and after one day where another needs the room.

    Example: kapok legacy strangers --take-in
    """
    from fleet.legacy import strangers as kept
    from fleet.legacy import terminals as lists

    if take_in and forget:
        raise click.UsageError("--take-in or --forget, not both")
    taken: dict[str, int] = {"new": 0, "again": 0, "conflicts": 0}
    gone = 0
    with database() as opened:
        if forget:
            with opened.begin() as session:
                gone = kept.forget(session, forget)
        with opened.read() as session:
            found = lists.strangers(session)
        if take_in:
            for one in found:
                while True:
                    with opened.begin() as session:
                        stored = lists.take_in(session, one)
                    for name in taken:
                        taken[name] += sum(getattr(each, name) for each in stored)
                    if not any(each.is_reading for each in stored):
                        break
            with opened.read() as session:
                found = lists.strangers(session)
    if as_json:
        listed = [
            {**one._asdict(), "first": iso(one.first_us), "last": iso(one.last_us)}
            for one in found
        ]
        if forget:
            say_json({"forgotten": gone, "strangers": listed})
        else:
            say_json({"taken_in": taken, "strangers": listed} if take_in else listed)
        return
    if forget:
        click.echo(f"forgotten: {gone}")
    if take_in:
        click.echo(
            f"taken in: {taken['new']} readings, {taken['again']} were there, "
            f"{taken['conflicts']} say something else"
        )
    rows = [
        [
            one.kind, one.address, one.meter, one.why, one.peer, iso(one.last_us), str(one.seen),
            str(one.kept), one.frame[:60],
        ]
        for one in found
    ]  # fmt: skip
    headings = ["by", "address", "meter", "why", "from", "last", "seen", "kept", "frame"]
    say_table("strangers", headings, rows)


@click.command()
@click.argument("terminal")
@click.option(
    "--variant", type=click.Choice(["modbus-crc", "none"]), required=True,
    help="What is let pass of it; none: nothing but the standard.",
)  # fmt: skip
@one_line_errors
def tolerate(terminal: str, variant: str) -> None:
    """Let one old terminal, by its id or number, deviate from its protocol. What it does with that
    is recorded: kapok legacy terminals.

    Example: kapok legacy tolerate T1024 --variant modbus-crc
    """
    from fleet.legacy import links
    from fleet.legacy import terminals as lists

    with database() as opened, opened.begin() as session:
        terminal_id = lists.find(session, terminal)
        links.tolerate(session, terminal_id, "" if variant == "none" else variant)
    click.echo(f"{terminal_id}: {variant}")
