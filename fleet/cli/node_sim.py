"""`kapok node sim`: modem and SIM of a node, as somebody or its modem says."""

from pathlib import Path

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NODE_ID|REPORT...")
@click.option("--imei", default="", help="The modem's number, 15 digits.")
@click.option("--iccid", default="", help="The SIM's number, 19 or 20 digits.")
@click.option("--as-read", is_flag=True, help="A modem said so: check digits need not fit.")
@click.option("--forget", is_flag=True, help="Both are no longer in this node.")
@click.option(
    "--report", is_flag=True, help="The names are files of kapok diag: take what the modems said."
)
@json_option
@one_line_errors
def sim(
    names: tuple[str, ...],
    imei: str,
    iccid: str,
    as_read: bool,
    forget: bool,
    report: bool,
    as_json: bool,
) -> None:
    """Say, or show, which modem and which SIM are in a node.

    A number that another node has is refused: forget it there first. Of several reports all are
    taken or none; of one node's the last counts.

    Example: kapok node sim 1gntj14d2p --imei 867997041234567 --iccid 89860412345678901234

    Example: kapok node sim --report diag-*.json
    """
    if report:
        if imei or iccid or forget:
            raise click.UsageError("--report goes without --imei, --iccid and --forget")
        _take_in([Path(name) for name in names], as_json)
        return
    from fleet.registry import labels, sims

    if len(names) > 1:
        raise click.UsageError("one node at a time, or --report with files of kapok diag")
    node_id = names[0]
    if forget and (imei or iccid):
        raise click.UsageError("--forget takes no numbers")
    if imei and not as_read:
        labels.check_imei(imei)
    if iccid and not as_read:
        labels.check_iccid(iccid)
    with database() as db:
        if imei or iccid:
            with db.begin() as session:
                has = sims.set_sim(session, node_id, imei, iccid)
        elif forget:
            with db.begin() as session:
                sims.forget_sim(session, node_id)
                has = ("", "")
        else:
            with db.read() as session:
                has = sims.sim_of(session, node_id)
    if as_json:
        say_json(_as_json(node_id, has))
    else:
        _say(node_id, has)


def _take_in(files: list[Path], as_json: bool) -> None:
    from fleet.registry import sims

    reports = [sims.of_report(file) for file in files]
    has = {}
    with database() as db, db.begin() as session:
        for said in reports:
            has[said.node_id] = sims.set_sim(session, said.node_id, said.imei, said.iccid)
    if as_json:
        say_json([_as_json(node_id, both) for node_id, both in has.items()])
    else:
        for node_id, both in has.items():
            _say(node_id, both)


def _as_json(node_id: str, has: tuple[str, str]) -> dict[str, str]:
    return {"id": node_id, "imei": has[0], "iccid": has[1]}


def _say(node_id: str, has: tuple[str, str]) -> None:
    click.echo(f"node {node_id} IMEI {has[0] or 'unknown'} ICCID {has[1] or 'unknown'}")
