"""What stands where on a label, in mm from its top left corner: one layout for every format.

The QR code has error correction M and a quiet zone of 4 modules. The whole label is at most 71
characters, which is version 5: with its quiet zone 45 modules, 0.73 mm each on a label of
70 x 37 mm and 0.52 mm on one of 48.5 x 25.4 mm (0.33 mm is what phones read at arm's length).
"""

from typing import NamedTuple

import segno

from fleet.registry.labels import LabelText

QUIET = 4  # modules, ISO/IEC 18004, 9.1
MARGIN = 2.0  # mm to each edge: what a printer shifts a sheet by


class LabelNode(NamedTuple):
    """A node as its label tells it; what is empty is left out."""

    node_id: str
    role: str = ""
    area: str = ""
    imei: str = ""
    iccid: str = ""

    @property
    def text(self) -> LabelText:
        """What the QR code says."""
        return LabelText(self.node_id, self.imei, self.iccid)


class Sheet(NamedTuple):
    """Labels on a page: sizes, first corner and steps in mm; `single`: a page is one label."""

    page_width: float
    page_height: float
    columns: int
    rows: int
    width: float
    height: float
    left: float = 0.0
    top: float = 0.0
    step_x: float = 0.0
    step_y: float = 0.0

    def corner(self, place: int) -> tuple[float, float]:
        """Top left of the label at `place` of its page, row by row from the top left."""
        row, column = divmod(place, self.columns)
        return self.left + column * self.step_x, self.top + row * self.step_y


SHEETS = {
    "single": Sheet(70, 37, 1, 1, 70, 37),
    "a4-3x8": Sheet(210, 297, 3, 8, 70, 37, 0, 0.5, 70, 37),
    "a4-4x11": Sheet(210, 297, 4, 11, 48.5, 25.4, 8, 8.8, 48.5, 25.4),
}


class Text(NamedTuple):
    """A line of text: the left end of its baseline and its size, in mm."""

    x: float
    y: float
    size: float
    bold: bool
    text: str


class Label(NamedTuple):
    """A label of `width` x `height` mm: the code's dark modules from (x, y) on, and the lines."""

    width: float
    height: float
    x: float
    y: float
    module: float
    code: segno.QRCode
    lines: tuple[Text, ...]

    def dark(self) -> list[tuple[int, int, int]]:
        """Runs of dark modules: (row, first column, number)."""
        runs = []
        for row, modules in enumerate(self.code.matrix):
            start = None
            for column, module in enumerate([*modules, 0]):
                if module and start is None:
                    start = column
                elif not module and start is not None:
                    runs.append((row, start, column - start))
                    start = None
        return runs


def lay_out(node: LabelNode, width: float = 70, height: float = 37) -> Label:
    """The label of a node; the code at the left, the lines at its right."""
    text = node.text
    code = segno.make_qr(text.encode(), error="m", boost_error=False)
    box = height - 2 * MARGIN
    module = box / (len(code.matrix) + 2 * QUIET)
    left = MARGIN + box + MARGIN / 2
    unit = min((width - left - MARGIN) / 31, box / 33)  # 31 mm x 33 mm hold the lines at size 1
    rows = [(5.0, True, node.node_id)]
    rows += [(2.6, False, f"{name}{value}") for name, value in (
        ("", node.role), ("area ", node.area), ("IMEI ", node.imei),
    ) if value]  # fmt: skip
    if node.iccid:
        rows += [(2.6, False, "ICCID"), (2.6, False, node.iccid)]
    rows.append((2.2, False, text.typed()))
    lines, y = [], MARGIN
    for size, bold, line in rows:
        y += size * unit * 1.25
        lines.append(Text(left, y, size * unit, bold, line))
        y += size * unit * 0.3
    return Label(
        width, height, MARGIN + QUIET * module, MARGIN + QUIET * module, module, code, tuple(lines)
    )
