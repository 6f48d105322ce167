"""A label as SVG, its sizes in mm: the code is one path, made by segno."""

import io
import re
from xml.sax.saxutils import escape

from fleet.labels.layout import Label, Text

_PATH = re.compile(r' d="([^"]+)"')


def render(label: Label) -> bytes:
    """The file, always the same for the same label."""
    lines = "\n".join(_line(line) for line in label.lines)
    size = f'width="{label.width:g}mm" height="{label.height:g}mm"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
        f' viewBox="0 0 {label.width:g} {label.height:g}">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<path transform="translate({label.x:.4f} {label.y:.4f}) scale({label.module:.6f})"'
        f' stroke="#000" shape-rendering="crispEdges" d="{_path(label)}"/>\n'
        f'<g font-family="Helvetica, Arial, sans-serif">\n{lines}\n</g>\n</svg>\n'
    ).encode()


def _line(line: Text) -> str:
    weight = ' font-weight="bold"' if line.bold else ""
    where = f'x="{line.x:.3f}" y="{line.y:.3f}" font-size="{line.size:.3f}"'
    return f"<text {where}{weight}>{escape(line.text)}</text>"


def _path(label: Label) -> str:
    made = io.BytesIO()
    label.code.save(made, kind="svg", border=0, xmldecl=False, nl=False)
    found = _PATH.search(made.getvalue().decode())
    if found is None:
        raise ValueError("segno made no path")
    return found[1]
