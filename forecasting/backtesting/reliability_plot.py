"""The reliability plot as SVG: how often what was called probable came true; the diagonal is honest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from forecasting.backtesting.reliability import Bin

SIDE, LEFT, TOP, LEGEND_WIDTH, ROW_HEIGHT = 360, 56, 20, 190, 20
#: Models are drawn in this order of colours; more models than colours are left out, the worst first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555")
#: The radius of a bin's dot grows with the root of the share of windows in it.
LEAST_RADIUS, MOST_RADIUS = 2.0, 9.0
#: Bins of fewer windows say nothing.
FEWEST_WINDOWS = 5


def reliability_svg(models: Mapping[str, Sequence[Bin]]) -> str:
    """A drawing of all models, the first ones in front of the others in the legend."""
    shown = list(models.items())[: len(COLOURS)]
    width, height = LEFT + SIDE + 16 + LEGEND_WIDTH, TOP + SIDE + 48
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_axes(),
    ]
    for place, (name, bins) in enumerate(shown):
        parts += _line(bins, COLOURS[place])
        y = TOP + 10 + place * ROW_HEIGHT
        parts.append(f'<circle cx="{LEFT + SIDE + 24}" cy="{y}" r="5" fill="{COLOURS[place]}"/>')
        parts.append(f'<text x="{LEFT + SIDE + 36}" y="{y + 4}" fill="#222222">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes() -> list[str]:
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999999"/>',
        f'<line x1="{LEFT}" y1="{TOP + SIDE}" x2="{LEFT + SIDE}" y2="{TOP}" stroke="#999999" stroke-dasharray="4 4"/>',
        (
            f'<text x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 38}" text-anchor="middle" fill="#222222">'
            "forecast probability of crossing</text>"
        ),
        (
            f'<text transform="translate(16 {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle" fill="#222222">'
            "share that crossed</text>"
        ),
    ]
    for tick in range(0, 11, 2):
        x, y = _at(tick / 10, tick / 10)
        parts.append(f'<text x="{x:.1f}" y="{TOP + SIDE + 18}" text-anchor="middle" fill="#555555">{tick / 10}</text>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555555">{tick / 10}</text>')
    return parts


def _line(bins: Sequence[Bin], colour: str) -> list[str]:
    told = [
        (each.forecast, each.observed, each.windows)
        for each in bins
        if each.forecast is not None and each.observed is not None and each.windows >= FEWEST_WINDOWS
    ]
    if not told:
        return []
    total = sum(windows for _, _, windows in told)
    points = [_at(forecast, observed) for forecast, observed, _ in told]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>']
    for (x, y), (_, _, windows) in zip(points, told, strict=True):
        radius = LEAST_RADIUS + (MOST_RADIUS - LEAST_RADIUS) * (windows / total) ** 0.5
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.75"/>')
    return parts


def _at(forecast: float, observed: float) -> tuple[float, float]:
    return LEFT + SIDE * forecast, TOP + SIDE * (1.0 - observed)
