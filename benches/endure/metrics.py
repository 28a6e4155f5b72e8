"""Reads the gateway's metrics."""

import re

LINE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """The samples of one scrape."""

    def __init__(self, samples):
        self.samples = samples

    def has(self, name):
        """Tells whether there is a metric of this name."""
        return any(known == name for known, _, _ in self.samples)

    def total(self, name, **labels):
        """Returns the sum over all samples of a metric that have these labels; 0 when there are none."""
        return sum(value for _, value in self._matching(name, labels))

    def by(self, label, name, **labels):
        """Returns the sums over all samples of a metric for each value of one label, without those that are 0."""
        sums = {}
        for own, value in self._matching(name, labels):
            sums[own.get(label)] = sums.get(own.get(label), 0) + value
        return {key: value for key, value in sums.items() if value}

    def _matching(self, name, labels):
        for known, own, value in self.samples:
            if known == name and labels.items() <= own.items():
                yield own, value


def parse(text):
    """Parses OpenMetrics text."""
    samples = []
    for line in text.splitlines():
        if found := LINE.match(line):
            name, labels, value = found.groups()
            number = float(value)
            samples.append((name, dict(LABEL.findall(labels or "")), int(number) if number.is_integer() else number))
    return Metrics(samples)
