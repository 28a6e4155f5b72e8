"""Turns what was measured into figures and Markdown."""

import statistics

import load
from peers import TITLES

BASE = "nginx"
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"


class Figures:
    """What the rounds come to: medians, and ratios taken within a round, since machines differ from one to the next."""

    def __init__(self, results):
        self.peers = results["peers"]
        self.base = BASE if BASE in self.peers else self.peers[0]
        self.scenarios = list(dict.fromkeys(run["scenario"] for run in results["runs"]))
        self._cost = {(run["scenario"], run["peer"], run["round"]): run["cpu_us"] for run in results["runs"]}
        self._rounds = sorted({run["round"] for run in results["runs"]})

    def cost(self, scenario, peer):
        """Returns the median CPU time of a request, in microseconds."""
        return statistics.median(self._cost[scenario, peer, number] for number in self._rounds)

    def ratios(self, scenario, peer):
        """Returns the peer's cost divided by the base's, round by round."""
        return [
            self._cost[scenario, peer, number] / self._cost[scenario, self.base, number] for number in self._rounds
        ]

    def ratio(self, scenario, peer):
        """Returns the median of the ratios."""
        return statistics.median(self.ratios(scenario, peer))

    def spread(self):
        """Returns the furthest that a ratio of one round lay from its median, as a part of it."""
        return max(
            abs(one / self.ratio(scenario, peer) - 1)
            for scenario in self.scenarios
            for peer in self.peers
            for one in self.ratios(scenario, peer)
        )


def markdown(results):
    """Returns the table, with what was measured, how and where."""
    figures, facts = Figures(results), results["facts"]
    rows = [["CPU of one request", *(TITLES[peer] for peer in figures.peers)]]
    for scenario in figures.scenarios:
        cells = (f"{figures.cost(scenario, peer):.0f} µs ({figures.ratio(scenario, peer):.2f})" for peer in figures.peers)
        rows.append([load.SCENARIOS[scenario][0], *cells])
    starts = {peer: statistics.median(results["start_seconds"][peer]) for peer in figures.peers}
    rows.append(["start to the first answer", *(f"{starts[peer] * 1e3:.0f} ms" for peer in figures.peers)])
    idle = results["idle_bytes"]
    rows.append(["memory then", *(f"{idle[peer] / 2**20:.1f} MiB" for peer in figures.peers)])
    connection = results["connection_bytes"]
    rows.append(["and for each idle connection", *(f"{connection[peer] / 1000:.1f} kB" for peer in figures.peers)])
    rows.insert(1, ["---"] * len(rows[0]))
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    versions = ", ".join(f"{TITLES[peer]} {facts['versions'][peer]}" for peer in figures.peers)
    return (
        f"{table}\n\n"
        f"Measured {facts['date']} with `{facts['command']}` on {facts['cpu']}, {facts['cores']} cores, "
        f"Linux {facts['kernel']}: {versions}. Medians of {facts['rounds']} rounds with {facts['seconds']} s each; in "
        f"parentheses the ratio to {TITLES[figures.base]} in the same round, which lay within "
        f"{figures.spread() * 100:.0f} % of its median.\n"
    )


def put_into(page, text):
    """Returns the page with what stands between its two marks replaced."""
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}{END}{after}"
