#!/usr/bin/env python3
"""Holds instruction counts against the baseline that is committed beside this file.

    gate.py check COUNTS     fails when something costs more than it did, or when what is measured has changed
    gate.py accept COUNTS    makes COUNTS the new baseline

COUNTS is what `cargo bench --bench instructions -- --output-format=json` prints; `make bench-check` and
`make bench-accept` do both steps.
"""

import json
import pathlib
import platform
import re
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
BASELINE = HERE / "baseline.toml"
# Per cent. Runs of the same program differ by less than 1: in what malloc finds, and in the digits of a duration.
TOLERANCE = 3.0
# As in instructions/work.rs.
TIMES = 1000

HEADER = """\
# Instructions for one request, as `make bench-check` counts and compares them. Written by `make bench-accept`.

"""


def main():
    match sys.argv[1:]:
        case ["check", counts]:
            sys.exit(check(read_counts(pathlib.Path(counts)), conditions()))
        case ["accept", counts]:
            accept(read_counts(pathlib.Path(counts)), conditions())
        case _:
            sys.exit(__doc__)


def read_counts(path):
    """Returns the instructions of each benchmark, divided by how often it does its one thing."""
    counts = {}
    for line in path.read_text().splitlines():
        summary = json.loads(line)
        group = summary["group"].removesuffix("_group")
        total = summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"]
        counts[f"{group}.{summary['function_name']}.{summary['id']}"] = round(total / TIMES)
    if not counts:
        sys.exit(f"{path} holds no counts")
    return counts


def conditions():
    """Returns what the counts depend on besides this repository."""
    return {
        "architecture": platform.machine(),
        "glibc": platform.libc_ver()[1] or "unknown",
        "rustc": version("rustc", "--version"),
        "valgrind": version("valgrind", "--version"),
    }


def version(*command):
    """Returns the version number that a command tells; in this folder, since rustc's is the one pinned here."""
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE).stdout
    number = re.search(r"\d+(\.\d+)+", told)
    return number[0] if number else "unknown"


def check(counts, here):
    """Prints the comparison and returns the exit status."""
    baseline = tomllib.loads(BASELINE.read_text())
    there, known = baseline["conditions"], baseline["instructions"]
    if there["architecture"] != here["architecture"]:
        print(f"NOT COMPARED: the baseline is of {there['architecture']}, this machine is {here['architecture']}.")
        return 0
    lines, verdicts = compare(known, counts)
    print("\n".join(lines))
    if not verdicts:
        print(f"Everything is within {TOLERANCE:g} % of the baseline.")
        return 0
    for name, value in here.items():
        if there[name] != value:
            print(f"The baseline was made with {name} {there[name]}, these counts with {value}.")
    if verdicts == {"cheaper"}:
        print("Something became cheaper: `make bench-accept` keeps it so.")
        return 0
    print("If this is meant, `make bench-accept` makes it the new baseline; commit it, and say why in the message.")
    return 1


def compare(known, counts):
    """Returns a line for each benchmark, and the verdicts of those that are not as they were."""
    lines, verdicts = [], set()
    width = max(map(len, known | counts))
    for name in known | counts:
        old, new = known.get(name), counts.get(name)
        change = (new - old) * 100 / old if old and new is not None else None
        if new is None:
            verdict, change_text = "gone", ""
        elif old is None:
            verdict, change_text = "new", ""
        else:
            verdict = "costlier" if change > TOLERANCE else "cheaper" if change < -TOLERANCE else ""
            change_text = f"{change:+.2f} %"
        if verdict:
            verdicts.add(verdict)
        show = "-" if new is None else f"{new}"
        was = "-" if old is None else f"{old}"
        lines.append(f"{name:{width}} {was:>8} {show:>8} {change_text:>10} {verdict.upper()}".rstrip())
    return lines, verdicts


def accept(counts, here):
    """Writes the baseline."""
    text = HEADER + "[conditions]\n"
    text += "".join(f'{name} = "{value}"\n' for name, value in here.items())
    text += "\n[instructions]\n"
    text += "".join(f'"{name}" = {count}\n' for name, count in counts.items())
    BASELINE.write_text(text)
    print(f"{BASELINE.name} holds these {len(counts)} counts now.")


if __name__ == "__main__":
    main()
