"""A budget as a picture: one bar for each phase, longest first. SVG as text, PNG by Pillow."""

import io
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from fleet.battery.budget import Budget
from fleet.errors import Refusal

_WIDTH, _LEFT, _RIGHT = 860, 150, 130
_LINE, _TOP = 28, 56
_BAR = "#2f6f9f"
_LOST = "#b0b0b0"


class PlotError(Refusal, ValueError):
    """No such kind of picture."""


class _Bar(NamedTuple):
    name: str
    mah: float
    colour: str


def _bars(budget: Budget) -> list[_Bar]:
    rows = sorted(budget.rows, key=lambda row: -row.mah)
    bars = [_Bar(row.phase, row.mah, _BAR) for row in rows]
    return [*bars, _Bar("self-discharge", budget.self_mah, _LOST)]


def _length(bar: _Bar, bars: list[_Bar]) -> float:
    return (_WIDTH - _LEFT - _RIGHT) * bar.mah / max(each.mah for each in bars)


def _label(bar: _Bar) -> str:
    return f"{1000 * bar.mah:.0f} uAh/day"


def svg(budget: Budget, title: str) -> bytes:
    """The picture as SVG, always the same for the same budget."""
    bars = _bars(budget)
    height = _TOP + _LINE * len(bars) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="14">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="30" font-size="18">{escape(title)}</text>',
    ]
    for n, bar in enumerate(bars):
        y, length = _TOP + _LINE * n, _length(bar, bars)
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 17}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect x="{_LEFT}" y="{y + 3}" width="{max(length, 1):.1f}" height="20"'
            f' fill="{bar.colour}"/>',
            f'<text x="{_LEFT + length + 8:.1f}" y="{y + 17}">{_label(bar)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""]).encode()


def png(budget: Budget, title: str) -> bytes:
    """The picture as PNG."""
    from PIL import Image, ImageDraw, ImageFont

    bars = _bars(budget)
    image = Image.new("RGB", (_WIDTH, _TOP + _LINE * len(bars) + 12), "#ffffff")
    draw = ImageDraw.Draw(image)
    font, large = ImageFont.load_default(size=14), ImageFont.load_default(size=18)
    draw.text((12, 30), title, fill="#000000", font=large, anchor="ls")
    for n, bar in enumerate(bars):
        y, length = _TOP + _LINE * n, _length(bar, bars)
        draw.text((_LEFT - 8, y + 17), bar.name, fill="#000000", font=font, anchor="rs")
        draw.rectangle((_LEFT, y + 3, _LEFT + max(length, 1), y + 22), fill=bar.colour)
        draw.text(
            (_LEFT + length + 8, y + 17), _label(bar), fill="#000000", font=font, anchor="ls"
        )
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()


def save(budget: Budget, title: str, path: Path) -> None:
    """Write the picture; its kind is the file's ending. PlotError, OSError."""
    kinds = {".svg": svg, ".png": png}
    if path.suffix not in kinds:
        raise PlotError(f"{path.name}: a picture is .svg or .png")
    path.write_bytes(kinds[path.suffix](budget, title))
