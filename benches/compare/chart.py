"""Draws the comparison as an SVG that can be read on light and on dark pages."""

from html import escape

import load
from peers import TITLES
from report import Figures

WIDTH, LEFT, RIGHT, TOP = 760, 130, 90, 64
BAR, GAP, GROUP_GAP, TITLE_HEIGHT = 16, 4, 18, 20
COLOURS = {"gateway": "#d1495b", "nginx": "#3b8ea5", "haproxy": "#7a9e3f", "envoy": "#a57bb8"}

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.strong { font-weight: 600 }
.line { stroke: #8c959f; stroke-width: 1; opacity: .45 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }"""


def svg(results):
    """Returns the chart: for each scenario a bar a peer, as long as its cost is a multiple of the base's."""
    figures, facts = Figures(results), results["facts"]
    longest = max(figures.ratio(scenario, peer) for scenario in figures.scenarios for peer in figures.peers)
    step = next(step for step in (0.25, 0.5, 1, 2, 5, 10, 50) if longest / step <= 8)
    scale = (WIDTH - LEFT - RIGHT) / longest
    group = TITLE_HEIGHT + len(figures.peers) * (BAR + GAP) + GROUP_GAP
    bottom = TOP + len(figures.scenarios) * group
    base = TITLES[figures.base]
    parts = [
        text(10, 22, f"CPU time of one request, as a multiple of {base}'s", "strong"),
        text(10, 40, f"Shorter is better. {facts['date']}, {facts['cpu']}, one core a peer."),
    ]
    mark = 0.0
    while mark <= longest:
        x = LEFT + mark * scale
        parts.append(f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom - 8}"/>')
        parts.append(text(x, bottom + 8, f"{mark:g}", anchor="middle"))
        mark += step
    parts.append(text(LEFT, bottom + 26, f"times the CPU time of {base} in the same round (at the bars: microseconds)"))
    for index, scenario in enumerate(figures.scenarios):
        y = TOP + index * group
        parts.append(text(LEFT, y + 12, load.SCENARIOS[scenario][0], "strong"))
        y += TITLE_HEIGHT
        for peer in figures.peers:
            length = figures.ratio(scenario, peer) * scale
            parts.append(text(LEFT - 8, y + 12, TITLES[peer], anchor="end"))
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[peer]}"/>')
            parts.append(text(LEFT + length + 6, y + 12, f"{figures.cost(scenario, peer):.0f} µs"))
            y += BAR + GAP
    height = bottom + 38
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img">\n<title>CPU time of one request, compared</title>\n<style>\n{STYLE}\n</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def text(x, y, content, style="", anchor="start"):
    named = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{named}>{escape(content)}</text>'
