"""Labels as PDF: pages of a sheet, or one a page; codes as vector rectangles."""

import io
from collections.abc import Sequence

from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from fleet.labels.layout import LabelNode, Sheet, lay_out


def render(nodes: Sequence[LabelNode], sheet: Sheet, first: int = 0) -> bytes:
    """The file, always the same for the same nodes; `first` places of the sheet stay free."""
    made = io.BytesIO()
    size = sheet.page_width * mm, sheet.page_height * mm
    # invariant: no time and no random identifier in the file.
    canvas = Canvas(made, pagesize=size, invariant=1, pageCompression=1)
    canvas.setTitle("Kapok labels")
    places = sheet.columns * sheet.rows
    for index, node in enumerate(nodes, first):
        if index > first and index % places == 0:
            canvas.showPage()
        _draw(canvas, node, sheet, index % places)
    canvas.save()
    return made.getvalue()


def _draw(canvas: Canvas, node: LabelNode, sheet: Sheet, place: int) -> None:
    label = lay_out(node, sheet.width, sheet.height)
    x, y = sheet.corner(place)
    canvas.saveState()
    canvas.translate(x * mm, (sheet.page_height - y) * mm)  # PDF counts from the bottom
    path = canvas.beginPath()
    for row, column, number in label.dark():
        path.rect(
            (label.x + column * label.module) * mm, -(label.y + (row + 1) * label.module) * mm,
            number * label.module * mm, label.module * mm,
        )  # fmt: skip
    canvas.drawPath(path, stroke=0, fill=1)
    for line in label.lines:
        canvas.setFont("Helvetica-Bold" if line.bold else "Helvetica", line.size * mm)
        canvas.drawString(line.x * mm, -line.y * mm, line.text)
    canvas.restoreState()
