"""`kapok label`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json

if TYPE_CHECKING:
    from fleet.labels.layout import LabelNode

_SUFFIXES = {".svg": "svg", ".pdf": "pdf", ".png": "png"}


@click.command()
@click.argument("node_ids", metavar="[NODE]...", nargs=-1)
@click.option("--all-new", is_flag=True, help="Every node that has had no label yet.")
@click.option("--area", default="", help="Every node whose area code begins so.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Nodes of a JSON file, such as kapok provision --json prints; needs no database.",
)
@click.option("--format", "kind", type=click.Choice(["svg", "pdf", "png"]), help="Default: pdf.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A file, or for svg and png a folder. Default: labels.pdf, or the folder labels.",
)
@click.option("--sheet", default="", help="single, a4-3x8 (70 x 37 mm) or a4-4x11 (48.5 x 25.4).")
@click.option("--skip", type=click.IntRange(0, 43), default=0, help="Used places on the sheet.")
@json_option
@one_line_errors
def label(
    node_ids: tuple[str, ...],
    all_new: bool,
    area: str,
    source: Path | None,
    kind: str | None,
    out: Path | None,
    sheet: str,
    skip: int,
    as_json: bool,
) -> None:
    """Print labels with QR codes: what a technician scans at the installation.

    The same nodes give the same bytes: printing again changes nothing.

    Example: kapok label --all-new --sheet a4-3x8 --out labels.pdf
    """
    from fleet.identity.files import PUBLIC, write_atomic
    from fleet.labels import source as nodes_of

    chosen = kind or (_SUFFIXES.get(out.suffix.lower(), "pdf") if out else "pdf")
    if chosen != "pdf" and (sheet or skip):
        raise click.UsageError("--sheet and --skip are for PDF: svg and png are a file a label")
    if sum((bool(node_ids), all_new or bool(area), source is not None)) != 1:
        raise click.UsageError("name nodes, or take --all-new, --area or --from")
    nodes = nodes_of.of_file(source) if source else _of_database(node_ids, area, all_new)
    written = []
    for path, data in _files(nodes, chosen, out, sheet or "single", skip):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data, PUBLIC)
        written.append(str(path))
    if source is None and nodes:
        with database() as db, db.begin() as session:
            nodes_of.note_labelled(session, nodes)
    if as_json:
        texts: list[dict[str, Any]] = [{**n._asdict(), "text": n.text.encode()} for n in nodes]
        say_json({"files": written, "labels": texts})
    elif nodes:
        more = f" and {len(written) - 1} more" if len(written) > 1 else ""
        click.echo(f"{len(nodes)} label(s): {written[0]}{more}")
    else:
        click.echo("no node needs a label")


def _of_database(node_ids: Sequence[str], area: str, all_new: bool) -> "list[LabelNode]":
    from fleet.labels import source as nodes_of

    with database() as db, db.read() as session:
        if node_ids:
            return nodes_of.of_ids(session, node_ids)
        return nodes_of.of_area(session, area, new=all_new)


def _files(
    nodes: "Sequence[LabelNode]", kind: str, out: Path | None, sheet: str, skip: int
) -> Iterator[tuple[Path, bytes]]:
    from fleet.labels import layout

    if not nodes:
        return
    if kind == "pdf":
        from fleet.labels import pdf

        chosen = layout.SHEETS.get(sheet)
        if chosen is None:
            raise click.UsageError(f"--sheet: one of {', '.join(layout.SHEETS)}")
        if skip >= chosen.rows * chosen.columns:
            raise click.UsageError(f"--skip: {sheet} has {chosen.rows * chosen.columns} places")
        path = out or Path("labels.pdf")
        yield (path / "labels.pdf" if path.is_dir() else path), pdf.render(nodes, chosen, skip)
        return
    from fleet.labels import png, svg

    render = svg.render if kind == "svg" else png.render
    folder = out or Path("labels")
    if folder.suffix.lower() in _SUFFIXES:
        if len(nodes) > 1:
            raise click.UsageError(f"--out {folder}: {len(nodes)} labels go into a folder")
        yield folder, render(layout.lay_out(nodes[0]))
        return
    for node in nodes:
        yield folder / f"{node.node_id}.{kind}", render(layout.lay_out(node))
