"""Shows what the stories make of what was measured, seen and counted, and what they take for a fault."""

import asyncio
import contextlib
import pathlib
import random
import tempfile
import unittest

import accounts
import callers
import load
import memory
import metrics
import names
import orders
import reloads
import report
import servers
import settings
import soak
import upstream

WRK = """Running 30m test @ http://127.0.0.1:1/
  8519 requests in 14.34s, 8.56MB read
"""
H2LOAD = """finished in 132.26ms, 756.10 req/s, 804.87KB/s
requests: 100 total, 100 started, 99 done, 90 succeeded, 9 failed, 1 errored, 0 timeout
status codes: 90 2xx, 0 3xx, 4 4xx, 5 5xx
"""


def scrape(requests=(), failures=()):
    """Returns metrics with these counts."""
    lines = [f'{accounts.REQUESTS}{{route="{route}",status="{status}"}} {count}' for route, status, count in requests]
    lines += [f'{accounts.FAILURES}{{reason="{reason}",side="upstream"}} {count}' for reason, count in failures]
    return metrics.parse("\n".join(["# HELP of something", *lines, "# EOF"]))


def answer(status, end="complete", reason=None, sent=0):
    """Returns an answer as a caller sees it."""
    made = callers.Answer()
    made.status, made.end, made.sent = status, end, sent
    if reason:
        made.fields = {"content-type": "application/problem+json"}
        made.body = b'{"type":"%s%s","reason":"%s"}' % (callers.OURS.encode(), reason.encode(), reason.encode())
    return made


class Metrics(unittest.TestCase):
    def test_samples_are_found_by_name_and_labels(self):
        found = scrape([("a", "2xx", 5), ("a", "5xx", 0), ("b", "2xx", 2)])

        self.assertEqual(found.total(accounts.REQUESTS), 7)
        self.assertEqual(found.total(accounts.REQUESTS, route="a"), 5)
        self.assertEqual(found.by("status", accounts.REQUESTS), {"2xx": 7})
        self.assertTrue(found.has(accounts.REQUESTS))
        self.assertFalse(found.has("profile_gateway_config_reloads_total"))

    def test_fractions_and_escaped_labels_are_read(self):
        found = metrics.parse('a_seconds{name="x\\"y"} 1.5\na_total 3.0')

        self.assertEqual(found.samples, [("a_seconds", {"name": 'x\\"y'}, 1.5), ("a_total", {}, 3)])


class Load(unittest.TestCase):
    def test_what_wrk_and_h2load_tell_is_counted(self):
        self.assertEqual(load.wrk_counts(WRK), {"requests": 8519, "bad status": 0, "socket errors": 0})
        troubled = WRK + "  Non-2xx or 3xx responses: 3\n  Socket errors: connect 1, read 13, write 2, timeout 4\n"
        self.assertEqual(load.wrk_counts(troubled), {"requests": 8519, "bad status": 3, "socket errors": 20})
        counted = load.h2load_counts(H2LOAD)
        self.assertEqual((counted["requests"], counted["bad status"], counted["socket errors"]), (100, 9, 1))
        for silent in (load.wrk_counts, load.h2load_counts):
            with self.assertRaises(RuntimeError):
                silent("unable to connect")

    def test_a_single_failed_request_is_a_fault_and_so_is_none_at_all(self):
        def faults(counts):
            result = report.Result("any")
            load.judge(result, "wrk", counts)
            return len(result.faults)

        self.assertEqual(faults({"requests": 5, "bad status": 0, "socket errors": 0}), 0)
        self.assertEqual(faults({"requests": 5, "bad status": 1, "socket errors": 0}), 1)
        self.assertEqual(faults({"requests": 5, "bad status": 0, "socket errors": 1}), 1)
        self.assertEqual(faults(load.add([])), 1)


class Callers(unittest.TestCase):
    def ask(self, *answers, pieces=()):
        """Returns what a caller makes of answers sent by a server of ours, which then closes."""

        async def story():
            async def serve(reader, writer):
                await reader.readuntil(b"\r\n\r\n")
                for piece in answers:
                    writer.write(piece)
                    await writer.drain()
                writer.close()

            async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
                caller = callers.Caller(server.sockets[0].getsockname()[1])
                try:
                    return await asyncio.wait_for(caller.ask("GET", "/", pieces=pieces), 5)
                finally:
                    caller.leave()

        return asyncio.run(story())

    def test_whole_answers_are_told_from_those_cut_off_and_from_none(self):
        whole = self.ask(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"body")
        self.assertEqual((whole.end, whole.status, whole.length, whole.body), ("complete", 200, 4, b"body"))
        chunked = self.ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
        self.assertEqual((chunked.end, chunked.body), ("complete", b"body"))
        self.assertEqual(self.ask(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody").end, "cut")
        self.assertEqual(self.ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo").end, "cut")
        self.assertEqual(self.ask(b"HTTP/1.1 200 OK\r\nContent-").end, "none")
        self.assertEqual(self.ask(b"what is this\r\n\r\n").end, "none")
        self.assertEqual(self.ask().end, "none")

    def test_only_problems_of_the_gateways_own_have_a_reason(self):
        self.assertEqual(answer(503, reason="upstream_failing").reason(), "upstream_failing")
        self.assertIsNone(answer(503).reason())
        theirs = answer(404, reason="nowhere")
        theirs.body = b'{"type":"http://ns.adobe.com/aep/errors/404","reason":"nowhere"}'
        self.assertIsNone(theirs.reason())
        theirs.body = b"<html>"
        self.assertIsNone(theirs.reason())


class Accounts(unittest.TestCase):
    def compare(self, answers=(), hung_up=0, counted=(), reasons=(), streams=None):
        """Returns how many faults there are when callers saw this and the gateway counted that."""
        tally = callers.Tally()
        for one in answers:
            tally.count("read", one, 0.1)
        for _ in range(hung_up):
            tally.count_hung_up()
        result = report.Result("soak")
        before = scrape([("soak", "2xx", 100)], [("upstream_reset", 50)])
        grown = [("soak", "2xx", 100 + sum(n for route, status, n in counted if (route, status) == ("soak", "2xx")))]
        grown += [one for one in counted if one[:2] != ("soak", "2xx")]
        failures = [("upstream_reset", 50 + dict(reasons).get("upstream_reset", 0))]
        failures += [one for one in reasons if one[0] != "upstream_reset"]
        accounts.compare(tally, streams, before, scrape(grown, failures), result)
        return result.faults

    def test_what_was_seen_and_what_was_counted_agree(self):
        seen = [answer(200), answer(200), answer(503, reason="upstream_failing"), answer(200, end="cut")]
        counted = [("soak", "2xx", 3), ("soak", "5xx", 1), ("soak", "gone", 1)]

        self.assertEqual(self.compare(seen, 1, counted, [("upstream_failing", 1), ("upstream_reset", 1)]), [])

    def test_requests_that_are_not_counted_or_counted_twice_are_a_fault(self):
        self.assertTrue(self.compare([answer(200), answer(200)], counted=[("soak", "2xx", 1)]))
        self.assertTrue(self.compare([answer(200)], counted=[("soak", "2xx", 2)]))
        self.assertTrue(self.compare([answer(200)], counted=[("soak", "5xx", 1)]))
        self.assertTrue(self.compare([answer(200)], counted=[("soak", "gone", 1)]))
        self.assertEqual(self.compare([answer(404)], counted=[("none", "4xx", 1)]), [])

    def test_a_failure_without_a_reason_is_a_fault(self):
        cut = [answer(200, end="cut")]
        self.assertTrue(self.compare(cut, counted=[("soak", "2xx", 1)]))
        self.assertEqual(self.compare(cut, counted=[("soak", "2xx", 1)], reasons=[("upstream_reset", 1)]), [])
        problem = [answer(502, reason="upstream_reset")]
        self.assertTrue(self.compare(problem, counted=[("soak", "5xx", 1)]))
        # A reason that nobody can have had.
        self.assertTrue(self.compare([answer(200)], counted=[("soak", "2xx", 1)], reasons=[("quota", 1)]))

    def test_no_answer_is_a_fault_unless_a_large_body_was_being_sent(self):
        self.assertTrue(self.compare([answer(None, end="none")], counted=[("soak", "5xx", 1)]))
        lost = [answer(None, end="none", sent=1_000_000)]
        self.assertEqual(self.compare(lost, counted=[("soak", "5xx", 1)], reasons=[("quota", 1)]), [])

    def test_what_h2load_saw_is_compared_too(self):
        streams = {"requests": 3, "bad status": 1, "socket errors": 0, "2xx": 2, "3xx": 0, "4xx": 0, "5xx": 1}
        counted = [("streams", "2xx", 2), ("streams", "5xx", 1)]

        self.assertEqual(self.compare(counted=counted, reasons=[("quota", 1)], streams=streams), [])
        self.assertTrue(self.compare(counted=counted[:1], streams=streams))


class Stories(unittest.TestCase):
    def test_failures_are_put_to_the_return_they_follow(self):
        returns = [(10, 12), (30, 33)]
        events = [(9, 9.1, True), (12.5, 12.6, False), (13.9, 14, False), (14, 14.1, True), (23, 23.1, False)]
        events += [(34, 34.5, True)]

        firsts, lasts, successes, late = upstream.after_returns(events, returns)

        self.assertAlmostEqual(firsts[0], 0.6)
        self.assertAlmostEqual(lasts[0], 11.1)
        self.assertAlmostEqual(successes[0], 2.1)
        self.assertEqual((firsts[1], lasts[1], successes[1]), (None, None, 1.5))
        self.assertEqual(late, 1)

    def test_memory_that_grows_all_the_time_is_a_fault_and_a_plateau_is_none(self):
        def faults(held):
            result = report.Result("soak")
            samples = [(10 * at, {"memory": memory_bytes}) for at, memory_bytes in enumerate(held)]
            soak.judge_memory(result, samples[0][1], samples, samples[-1][1])
            return result.faults

        self.assertTrue(faults([30e6 + 1e6 * at for at in range(180)]))
        self.assertEqual(faults([30e6 + min(2e6 * at, 60e6) for at in range(180)]), [])

    def test_a_request_that_outlasts_its_time_is_a_fault(self):
        for seconds, expected in ((soak.TOTAL + soak.SLACK + 1, 1), (soak.TOTAL, 0)):
            result, tally = report.Result("soak"), callers.Tally()
            tally.count("read", answer(200), seconds)
            soak.judge_times(result, tally)
            self.assertEqual(len(result.faults), expected)

    def test_the_slope_is_that_of_the_line(self):
        self.assertAlmostEqual(report.slope([(0, 1), (1, 3), (2, 5)]), 2)
        self.assertEqual(report.slope([(1, 1)]), 0)

    def test_every_change_edits_the_settings_or_puts_a_text_in_their_place(self):
        for change in reloads.changes("/secret"):
            made = settings.settings(1, settings.route("lookups", "/x"))
            if change.edit:
                before = repr(made)
                change.edit(made)
                self.assertTrue(repr(made) != before or change.marker == [404, 404], change.name)
            else:
                self.assertTrue(change.text and change.faulty, change.name)

    def test_orders_are_faults_that_end(self):
        class Simulator:
            def __init__(self):
                self.orders = []

            def order(self, times, **fault):
                self.orders.append((times, fault))

            def clear(self):
                pass

            def revoke(self):
                raise AssertionError("tokens were revoked again too soon")

        simulator = Simulator()
        given = orders.Orders(simulator, random.Random(1))
        for _ in range(200):
            given.give()

        self.assertTrue(simulator.orders)
        for times, fault in simulator.orders:
            self.assertGreaterEqual(times, 1)
            self.assertIn("where", fault)

    def test_the_readmes_figures_are_those_memory_is_held_against(self):
        page = (pathlib.Path(__file__).parents[2] / "README.md").read_text()

        self.assertIn(f"about {memory.SLOW_READER // 1000} kB", page)
        self.assertIn(f"holds {memory.IDLE_CONNECTION / 1000:g} kB", page)


class Report(unittest.TestCase):
    def test_a_story_fails_by_a_fault_and_says_so(self):
        well, ill, absent = (report.Result(name) for name in ("well", "ill", "absent"))
        well.note("requests", 5)
        well.must(True, "never told")
        ill.must(False, "it broke")
        absent.skipped = "wrk is missing"

        table = report.markdown([well, ill, absent], {"date": "today"})

        self.assertIn("| **well** | verdict | passed |", table)
        self.assertIn("| | requests | 5 |", table)
        self.assertIn("| **ill** | verdict | FAILED |", table)
        self.assertIn("- ill: it broke", table)
        self.assertIn("not run: wrk is missing", table)
        self.assertNotIn("never told", table)


class Programs(unittest.TestCase):
    def test_a_file_is_replaced_in_one_step(self):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder) / "file"
            servers.replace(place, "one")
            servers.replace(place, "two")

            self.assertEqual(place.read_text(), "two")
            self.assertEqual([one.name for one in place.parent.iterdir()], ["file"])

    def test_a_program_is_ended_by_its_own_process(self):
        with tempfile.TemporaryDirectory() as folder:
            program = servers.Program(["sleep", "60"], pathlib.Path(folder) / "log")
            with contextlib.ExitStack() as stack:
                stack.callback(program.kill)
                self.assertGreater(program.memory_bytes(), 0)
                self.assertGreaterEqual(program.files(), 3)
                self.assertEqual(program.threads(), 1)
                program.stop()
            self.assertTrue(program.has_ended())


class Names(unittest.TestCase):
    # The name moves at 2, is gone at 60, connections close from 75 on, and it is found again at 81.
    TIMES = (2, 60, 75, 81)
    WELL = [(1, 0.1, names.OLD), (30, 0.1, names.OLD), (31, 0.1, names.NEW), (70, 0.1, names.NEW), (82, 0.1, names.NEW)]
    LOST = (77, 3, None, 502, "upstream_name")

    def faults(self, *more):
        result = report.Result("names")
        names.judge(result, [(*one, 200, None) for one in self.WELL] + list(more), *self.TIMES)
        return result.faults

    def test_who_needs_a_new_connection_may_fail_while_there_is_no_name_and_nobody_else(self):
        self.assertEqual(self.faults(self.LOST), [])
        self.assertEqual(len(self.faults(self.LOST, (65, 0.1, None, 502, "upstream_name"))), 1)
        self.assertEqual(len(self.faults()), 1)

    def test_what_comes_late_or_is_told_wrongly_is_a_fault(self):
        for late in (
            (63, 0.1, names.OLD, 200, None),
            (77, 9, None, 502, "upstream_name"),
            (77, 1, None, 504, "upstream_timeout"),
            (92, 1, None, 502, "upstream_name"),
        ):
            self.assertEqual(len(self.faults(self.LOST, late)), 1, late)


if __name__ == "__main__":
    unittest.main()
