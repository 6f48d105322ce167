"""The current of a node over time as SVG, drawn by hand: sleep and transmission differ by four
powers of ten, so the axis is logarithmic.
"""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 860, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 16, 36, 36
_LEAST_UA, _MOST_UA = 1, 1_000_000
_POINTS = 1200  # more than the picture has pixels
_FONT = 'font-family="Helvetica, Arial, sans-serif" font-size="12"'
_LINE, _GRID = "#2f6f9f", "#d8d8d8"

Samples = Sequence[tuple[int, int]]


def current_svg(samples: Samples, title: str, until_us: int | None = None) -> str:
    """A picture of steps (microseconds, microamperes from then on), times rising. The last step
    lasts to `until_us`, or as long as the picture shows one.
    """
    steps = list(samples) or [(0, 0)]
    begin, last = steps[0][0], steps[-1][0]
    end = max(last, until_us if until_us is not None else last)
    end = max(end, begin + 1) if end > begin else begin + 1_000_000
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" {_FONT}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="22" font-size="15">{escape(title)}</text>',
    ]
    lines += _levels() + _times(end - begin)
    path = _path(_thinned(steps), begin, end)
    lines.append(f'<path d="{path}" fill="none" stroke="{_LINE}" stroke-width="1.5"/>')
    return "\n".join([*lines, "</svg>", ""])


def mean_ua(samples: Samples, begin_us: int, end_us: int) -> float:
    """The mean current between two times, of steps; 0 where nothing was measured."""
    if end_us <= begin_us:
        return 0.0
    return charge_uc(samples, begin_us, end_us) / ((end_us - begin_us) / 1e6)


def charge_uc(samples: Samples, begin_us: int, end_us: int) -> float:
    """The charge between two times in microcoulombs, of steps."""
    ends = [*(t for t, _ in samples[1:]), end_us]
    total = 0
    for (start, ua), end in zip(samples, ends, strict=False):
        total += ua * max(0, min(end, end_us) - max(start, begin_us))
    return total / 1e6


def _y(ua: int) -> float:
    share = math.log10(min(max(ua, _LEAST_UA), _MOST_UA)) / math.log10(_MOST_UA)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _x(us: int, begin: int, end: int) -> float:
    return _LEFT + (us - begin) / (end - begin) * (_WIDTH - _LEFT - _RIGHT)


def _path(steps: Samples, begin: int, end: int) -> str:
    words = [f"M{_x(steps[0][0], begin, end):.1f} {_y(steps[0][1]):.1f}"]
    words += [f"H{_x(us, begin, end):.1f}V{_y(ua):.1f}" for us, ua in steps[1:]]
    return "".join([*words, f"H{_x(end, begin, end):.1f}"])


def _thinned(steps: Samples) -> Samples:
    """Steps that a picture can show: of each group the least and the most stay, so no peak and
    no pause is lost.
    """
    if len(steps) <= _POINTS:
        return steps
    size = math.ceil(len(steps) / (_POINTS // 4))
    kept: list[tuple[int, int]] = []
    for at in range(0, len(steps), size):
        group = list(enumerate(steps[at : at + size]))
        ends = {0, len(group) - 1}
        ends |= {pick(group, key=lambda each: each[1][1])[0] for pick in (min, max)}
        kept += [group[n][1] for n in sorted(ends)]
    return kept


def _levels() -> list[str]:
    lines = []
    for power, name in enumerate(("1 µA", "10", "100", "1 mA", "10", "100", "1 A")):
        y = _y(10**power)
        lines += [
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{name}</text>',
        ]
    return lines


def _times(span_us: int) -> list[str]:
    step = 10 ** math.floor(math.log10(span_us / 3))
    step *= next(n for n in (1, 2, 5, 10) if span_us / (step * n) <= 8)
    unit, name = (1e6, "s") if span_us >= 2_000_000 else (1e3, "ms")
    lines = []
    for n in range(int(span_us // step) + 1):
        x = _x(int(n * step), 0, span_us)
        lines.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">'
            f"{n * step / unit:g} {name}</text>"
        )
    return lines
