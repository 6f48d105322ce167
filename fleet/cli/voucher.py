"""`kapok voucher`: claim credentials for boards that are provisioned without a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
    settings,
)

file_option = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The laptop's vouchers; default: ~/.local/state/kapok/vouchers.json.",
)
person_option = click.option(
    "--person", default="", help="Who has the laptop; only where the fleet's data folder is here."
)
fleet_option = click.option("--fleet", "url", help="https://HOST:PORT of the fleet.")
token_option = click.option(
    "--token", envvar="KAPOK_TOKEN", help="Claim token, or - to type it; also KAPOK_TOKEN."
)


@click.group()
def voucher() -> None:
    """Vouchers: take along, report what was used, list, revoke.

    A voucher's keys lie on the laptop (mode 0600) until a board has them. Each serves for one
    claim, lives a few months, and dies with the voucher; a laptop that is stolen is ended by
    `kapok voucher revoke --person NAME`.

    Example: kapok voucher pull --count 50 --area 440106 --node gas-meter --fleet https://HOST:8443
    """


@contextmanager
def _office(url: str | None, token: str | None, person: str) -> Iterator[Any]:
    """The fleet: over HTTPS by a token, or by its data folder on this machine."""
    from fleet.flashing import voucher_office

    if url is not None:
        from fleet.cli.provision import claim_token
        from fleet.enrol.client import EnrolClient

        yield voucher_office.Remote(EnrolClient(url, claim_token(token)))
        return
    if not person:
        raise click.UsageError("--fleet URL with --token, or --person where the fleet's data is")
    chosen = settings()
    with database(needs=chosen) as db, db.begin() as session:
        yield voucher_office.Here(session, chosen, person)


def _file(path: Path | None) -> Any:
    from fleet.flashing.vouchers import VoucherFile, default_path

    return VoucherFile(path or default_path())


@voucher.command()
@click.option("--count", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--area", default="", help="Area code of the nodes; default: the token's.")
@click.option("--node", "node_type", required=True, help="Node type, such as gas-meter.")
@click.option("--days", type=click.IntRange(1, 365), default=90, show_default=True)
@fleet_option
@token_option
@person_option
@file_option
@json_option
@one_line_errors
def pull(
    count: int,
    area: str,
    node_type: str,
    days: int,
    url: str | None,
    token: str | None,
    person: str,
    path: Path | None,
    as_json: bool,
) -> None:
    """Take vouchers along. Each takes one of the token's boards.

    Example: kapok voucher pull --count 50 --area 440106 --node gas-meter --fleet https://HOST:8443
    """
    from fleet.flashing import voucher_office

    file = _file(path)
    with _office(url, token, person) as office:
        added = voucher_office.pull(office, file, count, area, node_type, days)
    if as_json:
        say_json({"file": str(file.path), "vouchers": [one.claim_id for one in added]})
    else:
        click.echo(f"{len(added)} vouchers for {node_type} in {added[0].area}: {file.path}")


@voucher.command()
@fleet_option
@token_option
@person_option
@file_option
@json_option
@one_line_errors
def push(
    url: str | None, token: str | None, person: str, path: Path | None, as_json: bool
) -> None:
    """Tell the fleet which voucher went into which node.

    Example: kapok voucher push --fleet https://HOST:8443 --token -
    """
    from fleet.flashing import voucher_office

    file = _file(path)
    with _office(url, token, person) as office:
        told = voucher_office.push(office, file)
    file.remove(one.claim_id for one in told if not one.refusal)  # the fleet has it for good
    refused = [one for one in told if one.refusal]
    if as_json:
        say_json([one._asdict() for one in told])
    else:
        for one in told:
            click.echo(f"{one.claim_id}  {one.node_id}  {one.refusal or one.state}")
        click.echo(f"{len(told) - len(refused)} reported, {len(refused)} refused")
    if refused:
        raise click.ClickException(f"{len(refused)} vouchers were refused: see above")


@voucher.command("list")
@click.option("--person", default="", help="Only of this person.")
@click.option("--after", default="", help="Continue behind this claim id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def list_(person: str, after: str, limit: int, as_json: bool) -> None:
    """List the fleet's vouchers.

    Example: kapok voucher list --person wang
    """
    from fleet.identity.vouchers import list_vouchers

    with database() as db, db.read() as session:
        found = list_vouchers(session, person, after, limit)
    _say(found, as_json, "vouchers")


@voucher.command()
@click.argument("ids", nargs=-1)
@click.option("--person", default="", help="All of this person: a laptop was stolen.")
@json_option
@one_line_errors
def revoke(ids: tuple[str, ...], person: str, as_json: bool) -> None:
    """End vouchers; nothing can be claimed by them from now on, by no door.

    Lists them with the nodes that had claimed by them: those keep their identities.

    Example: kapok voucher revoke --person wang
    """
    from fleet.identity.authority import Authority
    from fleet.identity.operations import revocation_list
    from fleet.identity.vouchers import revoke as end

    if bool(ids) == bool(person):
        raise click.UsageError("either claim ids or --person")
    chosen = settings()
    with database(needs=chosen) as db:
        with db.begin() as session:
            ended = end(session, ids, person)
        with db.read() as session:
            Authority.load(chosen.pki).write_crl(revocation_list(session))
    _say(ended, as_json, f"{len(ended)} vouchers revoked")


def _say(found: list[Any], as_json: bool, title: str) -> None:
    if as_json:
        say_json([{**one._asdict(), "not_after": iso(one.not_after_us)} for one in found])
        return
    headings = ["voucher", "person", "area", "type", "state", "node", "until"]
    rows = [
        [one.claim_id, one.person, one.area, one.node_type, one.state, one.node_id or "",
         iso(one.not_after_us)]
        for one in found
    ]  # fmt: skip
    say_table(title, headings, rows)
