"""Printed labels are read back by a QR reader: from PNG, and from the vectors of SVG and PDF."""

import io
import re
import zlib

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from fleet.labels import pdf, png, svg
from fleet.labels.layout import SHEETS, LabelNode, Sheet, lay_out

NODES = [
    LabelNode("1gntj14d2p", "gas-meter", "440106", "867997041234567", "89860412345678901234"),
    LabelNode("0000000001", "drainage", "440106001", "490154203237518"),
    LabelNode("7zzzzzzzzz", "lamppost", "4401", "", "8986041234567890123"),
    LabelNode("1gntj14d2q"),  # a bare devkit
]
FORMS = [SHEETS["a4-3x8"], SHEETS["a4-4x11"]]
_RECTANGLE = re.compile(rb"([-0-9.]+) ([-0-9.]+) ([-0-9.]+) ([-0-9.]+) re")


def read(image: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(image.convert("L"))]


def sized(node: LabelNode, form: Sheet) -> bytes:
    return png.render(lay_out(node, form.width, form.height))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("node", NODES)
def test_a_png_is_scanned(node: LabelNode, form: Sheet) -> None:
    with Image.open(io.BytesIO(sized(node, form))) as image:
        assert read(image) == [node.text.encode()]
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("node", NODES)
def test_a_png_is_scanned_askew_dirty_and_from_afar(node: LabelNode) -> None:
    """As a phone sees it: rotated, at a third of the size, with a scratch through the code."""
    with Image.open(io.BytesIO(sized(node, FORMS[0]))) as image:
        scratched = image.convert("L")
        ImageDraw.Draw(scratched).line((100, 250, 340, 230), fill=255, width=4)
        seen = scratched.rotate(17, expand=True, fillcolor=255)
        seen = seen.resize((seen.width // 3 * 2, seen.height // 3 * 2))
    assert read(seen) == [node.text.encode()]


@pytest.mark.parametrize("node", NODES)
def test_the_vectors_of_a_pdf_are_scanned(node: LabelNode) -> None:
    """No renderer is at hand: the rectangles of the page are painted at 300 dots an inch."""
    raw = pdf.render([node], SHEETS["single"])
    (stream,) = re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL)
    content = zlib.decompress(_ascii85(stream))
    scale = 300 / 72
    image = Image.new("L", (827, 437), 255)
    draw = ImageDraw.Draw(image)
    found = [[float(n) for n in match] for match in _RECTANGLE.findall(content)]
    assert len(found) > 100
    for x, y, width, height in found:
        draw.rectangle(
            (x * scale, -(y + height) * scale, (x + width) * scale - 1, -y * scale - 1), fill=0
        )
    assert read(image) == [node.text.encode()]


@pytest.mark.parametrize("node", NODES)
def test_the_path_of_an_svg_is_scanned(node: LabelNode) -> None:
    text = svg.render(lay_out(node)).decode()
    path = re.search(r' d="([^"]+)"', text)
    assert path is not None
    image = Image.new("L", (450, 450), 255)
    draw = ImageDraw.Draw(image)
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([-0-9. ]+)", path[1]):
        values = [float(n) for n in numbers.split()]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            left, top = 40 + x * 10, 40 + (y - 0.5) * 10
            draw.rectangle((left, top, left + values[0] * 10 - 1, top + 9), fill=0)
            x += values[0]
    assert read(image) == [node.text.encode()]
    assert 'width="70mm" height="37mm"' in text


@pytest.mark.parametrize("node", NODES)
def test_the_same_label_is_the_same_bytes(node: LabelNode) -> None:
    assert sized(node, FORMS[0]) == sized(node, FORMS[0])
    assert svg.render(lay_out(node)) == svg.render(lay_out(node))
    assert pdf.render([node], FORMS[0]) == pdf.render([node], FORMS[0])


@pytest.mark.parametrize("form", SHEETS.values())
def test_labels_of_a_sheet_lie_on_it_and_not_on_each_other(form: Sheet) -> None:
    places = form.rows * form.columns
    corners = [form.corner(place) for place in range(places)]
    for x, y in corners:
        assert x >= 0
        assert y >= 0
        assert x + form.width <= form.page_width + 1e-9
        assert y + form.height <= form.page_height + 1e-9
    assert len(set(corners)) == places
    for node in NODES:
        label = lay_out(node, form.width, form.height)
        assert all(line.y < form.height for line in label.lines)


def test_a_sheet_that_is_full_begins_another_page() -> None:
    assert pdf.render(NODES[:1] * 24, SHEETS["a4-3x8"]).count(b"/Type /Page\n") == 1
    assert pdf.render(NODES[:1] * 25, SHEETS["a4-3x8"]).count(b"/Type /Page\n") == 2
    assert pdf.render(NODES[:1], SHEETS["a4-3x8"], 23).count(b"/Type /Page\n") == 1
    assert pdf.render(NODES[:2], SHEETS["a4-3x8"], 23).count(b"/Type /Page\n") == 2


def _ascii85(stream: bytes) -> bytes:
    import base64

    return base64.a85decode(stream.strip().removesuffix(b"~>"))
