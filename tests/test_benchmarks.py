"""What the benchmark computes and draws of its measurements; it is not run here."""

import asyncio
import sys
from xml.etree import ElementTree

import pytest

from benchmarks import charts, figures, publish
from benchmarks.adapters.base import Adapter
from benchmarks.figures import Cell, Figures, Measurement, Record
from benchmarks.measuring import Window
from benchmarks.rounds import Worker, rotated
from benchmarks.standing import standings, table
from benchmarks.target import Target
from benchmarks.worker import answer

GET = Cell("get", 50)
INSERT = Cell("insert", 50)


def record(number: int, adapter: str, per_second: float, cell: Cell = GET) -> Record:
    return Record(number, cell, adapter, Measurement(10, per_second, 1.0, 2.0, 3.0, 0, 0.5, 40.0))


def test_a_percentile_is_the_value_that_so_many_are_below():
    ordered = [float(value) for value in range(200)]
    assert figures.percentile(ordered, 0.5) == 100
    assert figures.percentile(ordered, 0.99) == 198
    assert figures.percentile([7.0], 0.99) == 7


def test_a_ratio_is_taken_within_a_round_and_then_the_median_over_the_rounds():
    # The machine was slow in the second round: the medians of the two would give 100 / 100.
    rounds = [(100, 200), (10, 40), (400, 100)]
    records = [record(number, "vinyl", ours) for number, (ours, _) in enumerate(rounds)]
    records += [record(number, "base", theirs) for number, (_, theirs) in enumerate(rounds)]
    assert Figures(records).ratio(GET, "vinyl", "base") == 0.5


def test_a_round_in_which_one_of_the_two_failed_has_no_ratio():
    records = [record(1, "vinyl", 100), record(2, "vinyl", 100), record(2, "base", 400)]
    records.append(Record(1, GET, "base", error="OSError: gone"))
    assert Figures(records).ratio(GET, "vinyl", "base") == 0.25
    assert Figures(records[:1]).ratio(GET, "vinyl", "base") is None


def test_a_mean_ratio_is_geometric():
    records = [record(1, "vinyl", 1), record(1, "base", 2), record(1, "vinyl", 8, INSERT), record(1, "base", 1, INSERT)]
    assert Figures(records).mean_ratio([GET, INSERT], "vinyl", "base") == pytest.approx(2.0)


def test_only_what_every_adapter_has_done_goes_into_a_mean():
    records = [record(1, "vinyl", 1), record(1, "base", 2), record(1, "base", 1, INSERT)]
    records.append(Record(1, INSERT, "vinyl", unsupported="it has no such operation"))
    assert Figures(records).common([GET, INSERT], ["vinyl", "base"]) == [GET]
    assert Figures(records).common([GET, INSERT], ["vinyl", "base", "one that was left out of all"]) == [GET]


def test_an_operation_under_way_at_the_end_counts_for_the_latencies_only(monkeypatch):
    clock = iter([10.0, 10.5, 12.0, 15.0])
    monkeypatch.setattr("benchmarks.measuring.time.perf_counter", lambda: next(clock))
    window = Window(tasks=2, seconds=2)
    window.open()
    window.add(0, began=10.25)
    window.close()
    window.add(1, began=11.0)
    window.add(0, began=13.0)  # it began after the end
    measurement = window.measurement()
    assert (measurement.operations, measurement.per_second) == (1, 0.5)
    assert measurement.longest == 4_000
    assert measurement.starved == 1


def test_in_each_round_another_adapter_begins():
    assert [rotated("abc", number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert rotated([], 1) == []


WORKER = """
import json, sys, time
print(json.dumps({"note": ""}), flush=True)
for line in sys.stdin:
    if "hang" in line:
        time.sleep(1000)
    if "end" in line:
        sys.exit()
    print(json.dumps({"asked": json.loads(line)}), flush=True)
"""


@pytest.fixture
def worker(tmp_path):
    """A worker that is no adapter: it answers, ends or hangs as it is told."""
    target = Target("postgresql", "localhost", 5432, "nobody", 10, "asyncio")
    with (tmp_path / "log").open("w") as log:
        worker = Worker("fake", target, log, command=[sys.executable, "-c", WORKER], longest=1.5)
        yield worker
        worker.end()


@pytest.mark.parametrize(
    ("workload", "error"), [("hang", "it did not answer within 2 s, and was ended"), ("end", "its process ended")]
)
def test_a_worker_that_hangs_or_ends_is_an_error_and_begun_anew(worker, workload, error):
    assert worker.greeting == {"note": ""}
    assert worker.ask(workload=workload, seconds=0.5)["error"] == error
    assert worker.ask(workload="get", seconds=0.5) == {"asked": {"workload": "get", "seconds": 0.5}}


def test_an_adapter_with_a_connection_for_each_task_is_left_out_of_what_would_be_too_many():
    class Kept(Adapter):
        connection_per_task = True

        async def get(self):
            await asyncio.sleep(0)
            return 1

    target = Target("postgresql", "localhost", 5432, "nobody", 10, "asyncio")
    answers = [asyncio.run(answer(Kept(target), "get", concurrency, 0.01)) for concurrency in (50, 500)]
    assert list(answers[0]) == ["measurement"]
    assert list(answers[1]) == ["unsupported"]


def test_vinyl_is_compared_with_the_best_of_its_peers_which_drivers_are_not():
    speeds = {"vinyl": 100, "vinyl_sync": 900, "vinyl_frozen": 950, "raw_asyncpg": 800, "django": 50, "tortoise": 80}
    records = [record(1, name, speed) for name, speed in speeds.items()]
    records += [record(1, "vinyl", 10, INSERT), record(1, "django", 20, INSERT)]
    found = standings(Figures(records), [GET, INSERT], list(speeds))
    assert [(each.peer, each.ratio, each.is_first) for each in found] == [
        ("tortoise", 1.25, True),
        ("django", 0.5, False),
    ]
    assert table(found)[-1] == "vinyl is first in 1 of 2 rows."
    assert table([]) == []


def test_a_chart_is_well_formed_and_its_bars_are_as_long_as_their_values():
    drawn = charts.draw(
        "a < b & c", "per second", [charts.Bar("slow", 5), charts.Bar("fast", 10), charts.Bar("x", None)]
    )
    chart = ElementTree.fromstring(drawn)
    lengths = [float(bar.attrib["width"]) for bar in chart.iter("{http://www.w3.org/2000/svg}rect")]
    assert lengths[0] == 2 * lengths[1]
    texts = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["a < b & c", "per second", "fast", "10.0", "slow", "5.00", "x", "not measured"]


def test_a_run_becomes_a_page_with_its_charts(tmp_path, monkeypatch):
    run, pages = tmp_path / "run", tmp_path / "pages"
    run.mkdir()
    (run / "results.json").write_text('{"engine": "mariadb"}')
    (run / "results.md").write_text("# Title\n\nWhere it was.\n\n## Table\n\n| a |\n")
    for name in ("all-1", "get-50"):
        (run / f"{name}.svg").write_text(name)
    monkeypatch.setattr(publish, "PAGES", pages)
    (pages / "mariadb").mkdir(parents=True)
    (pages / "mariadb" / "of-an-earlier-run.svg").touch()
    page = publish.publish(run)
    assert page.read_text().split("\n\n") == [
        "# Title",
        "Where it was.",
        "![all, at a time: 1](mariadb/all-1.svg)",
        "## Table",
        "| a |",
        "## Charts",
        "![get, at a time: 50](mariadb/get-50.svg)\n",
    ]
    assert sorted(chart.name for chart in (pages / "mariadb").iterdir()) == ["all-1.svg", "get-50.svg"]
