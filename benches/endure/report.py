"""What a story found: figures, and what failed that must not."""

import datetime
import platform


class Result:
    """The figures of one story and its faults."""

    def __init__(self, story):
        self.story, self.figures, self.faults, self.skipped = story, {}, [], None

    def note(self, what, figure):
        """Keeps a figure."""
        self.figures[what] = figure

    def must(self, holds, otherwise):
        """Keeps a fault unless something holds."""
        if not holds:
            self.faults.append(otherwise)

    def verdict(self):
        if self.skipped:
            return f"not run: {self.skipped}"
        return "FAILED" if self.faults else "passed"

    def as_json(self):
        return {
            "story": self.story,
            "verdict": self.verdict(),
            "figures": self.figures,
            "faults": self.faults,
        }


def markdown(results, facts):
    """Returns a table of all figures, and the faults."""
    lines = ["| story | figure | value |", "| --- | --- | --- |"]
    for result in results:
        lines.append(f"| **{result.story}** | verdict | {result.verdict()} |")
        lines += [f"| | {what} | {figure} |" for what, figure in result.figures.items()]
    lines.append("")
    for result in results:
        lines += [f"- {result.story}: {fault}" for fault in result.faults]
    told = ", ".join(str(fact) for fact in facts.values())
    return "\n".join([*lines, "", f"Measured {told}.", ""])


def facts(command, version, cores):
    """Returns where and how figures were made."""
    return {
        "date": datetime.date.today().isoformat(),
        "command": f"with `{command}`",
        "cores": f"on {cores} cores",
        "kernel": f"Linux {platform.release()}",
        "version": version,
    }


def megabytes(count):
    """Returns a number of bytes as a text in MB."""
    return f"{count / 1e6:.1f} MB"


def slope(samples):
    """Returns the slope of (x, y) pairs by least squares; 0 for fewer than two."""
    if len(samples) < 2:
        return 0.0
    middle_x = sum(x for x, _ in samples) / len(samples)
    middle_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - middle_x) ** 2 for x, _ in samples)
    return sum((x - middle_x) * (y - middle_y) for x, y in samples) / spread if spread else 0.0
