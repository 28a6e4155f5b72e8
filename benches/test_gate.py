"""Shows what the gate lets pass and what it stops."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import gate

HERE = {"architecture": "x86_64", "glibc": "2.36", "rustc": "1.95.0", "valgrind": "3.19.0"}
KNOWN = {"stack.lookup.routes_1": 50_000, "token.read.valid": 176}


class Gate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, gate, "BASELINE", gate.BASELINE)
        gate.BASELINE = pathlib.Path(folder.name) / "baseline.toml"
        self.quietly(gate.accept, KNOWN, HERE)

    def quietly(self, function, *arguments):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = function(*arguments)
        self.printed = printed.getvalue()
        return status

    def check(self, counts, here=HERE):
        return self.quietly(gate.check, counts, here)

    def test_what_was_accepted_passes_and_so_does_a_little_more(self):
        self.assertEqual(self.check(KNOWN), 0)
        self.assertEqual(self.check(KNOWN | {"stack.lookup.routes_1": 51_500}), 0)
        self.assertIn("within 3 %", self.printed)

    def test_more_than_that_fails_and_says_how_to_accept_it(self):
        self.assertEqual(self.check(KNOWN | {"stack.lookup.routes_1": 51_501}), 1)
        self.assertIn("COSTLIER", self.printed)
        self.assertIn("make bench-accept", self.printed)

    def test_what_became_cheaper_passes_and_is_told(self):
        self.assertEqual(self.check(KNOWN | {"stack.lookup.routes_1": 48_000}), 0)
        self.assertIn("CHEAPER", self.printed)

    def test_a_benchmark_that_came_or_went_fails(self):
        self.assertEqual(self.check(KNOWN | {"limiter.draw.buckets_1": 300}), 1)
        self.assertIn("NEW", self.printed)
        self.assertEqual(self.check({"token.read.valid": 176}), 1)
        self.assertIn("GONE", self.printed)

    def test_another_valgrind_is_named_where_counts_differ(self):
        self.assertEqual(self.check(KNOWN | {"token.read.valid": 300}, HERE | {"valgrind": "3.24.0"}), 1)
        self.assertIn("valgrind 3.19.0, these counts with 3.24.0", self.printed)

    def test_another_architecture_is_not_compared_and_says_so(self):
        self.assertEqual(self.check(KNOWN, HERE | {"architecture": "aarch64"}), 0)
        self.assertIn("NOT COMPARED", self.printed)


if __name__ == "__main__":
    unittest.main()
