"""A label as PNG at 300 dots an inch; each module is a whole number of dots, so it is sharp."""

import io

from PIL import Image, ImageDraw, ImageFont

from fleet.labels.layout import QUIET, Label

DPI = 300
_DOTS = DPI / 25.4  # a mm


def render(label: Label) -> bytes:
    """The file, always the same for the same label (and version of Pillow)."""
    size = round(label.width * _DOTS), round(label.height * _DOTS)
    image = Image.new("1", size, 1)
    draw = ImageDraw.Draw(image)
    side = max(1, int(label.module * _DOTS))
    slack = round(((label.module * _DOTS) - side) * (len(label.code.matrix) + 2 * QUIET) / 2)
    left, top = round(label.x * _DOTS) + slack, round(label.y * _DOTS) + slack
    for row, column, number in label.dark():
        x, y = left + column * side, top + row * side
        draw.rectangle((x, y, x + number * side - 1, y + side - 1), fill=0)
    for line in label.lines:
        font = ImageFont.load_default(size=line.size * _DOTS)
        weight = 1 if line.bold else 0
        draw.text(
            (line.x * _DOTS, line.y * _DOTS), line.text, fill=0, font=font, anchor="ls",
            stroke_width=weight,
        )  # fmt: skip
    made = io.BytesIO()
    image.save(made, "PNG", dpi=(DPI, DPI))
    return made.getvalue()
