"""Every picture has one row, whatever becomes of workers and nodes; Ray is stood in for.

tests/bulk/test_cluster.py does the same on a real cluster.
"""

from __future__ import annotations

import collections
import itertools
import socket
import sys

import pytest

from tests.bulk.ray_double import OWN, Lost, RayDouble
from tfhific.bulk import engine
from tfhific.bulk.opening import open_place
from tfhific.bulk.places import Found
from tfhific.bulk.plan import Task
from tfhific.bulk.rows import DONE, FAILED, Row
from tfhific.bulk.work import Settings
from tfhific.errors import TfhificError

NODES = {"n1": 1, "n2": 1, "n3": 1}


def batches(count: int, size: int = 4):
    tasks = [Task(f"{number}", f"{number}.tfh", Found()) for number in range(count)]
    return iter([tasks[at : at + size] for at in range(0, count, size)])


def done(tasks) -> list[Row]:
    return [Row(task.source, task.destination, DONE) for task in tasks]


@pytest.fixture
def clock(monkeypatch):
    """Time passes as it is asked for, ten seconds each time."""
    seconds = itertools.count(0, 10)
    monkeypatch.setattr(engine.time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(engine.time, "sleep", lambda _: None)


@pytest.fixture
def run(monkeypatch, tmp_path, clock):
    def run(double: RayDouble, dealt, workers: int = 3) -> list[Row]:
        monkeypatch.setitem(sys.modules, "ray", double)
        place = open_place(str(tmp_path))
        settings = Settings("compress", place, place, "mini", None, {})
        running = engine.Engine(settings, cores=1, workers=workers)
        try:
            return list(running.run(dealt))
        finally:
            running.stop()

    return run


def assert_one_row_each(rows: list[Row], count: int) -> None:
    assert sorted(row.source for row in rows) == sorted(map(str, range(count)))


@pytest.mark.parametrize("count", [0, 1, 4, 41])
def test_each_picture_has_a_row_and_no_more_are_out_than_workers_work_on(run, count):
    double = RayDouble(NODES, lambda ray, node, tasks: done(tasks))
    asked = collections.Counter()

    def dealt():
        for batch in batches(count):
            asked["now"] += len(batch)
            yield batch

    rows = run(double, dealt())
    assert_one_row_each(rows, count)
    assert asked["now"] == count
    assert double.held <= 3 * 4


def test_a_picture_that_ends_its_worker_is_tried_alone_once_and_recorded(run):
    tried: list[list[str]] = []

    def work(ray, node, tasks):
        names = [task.source for task in tasks]
        if "13" in names:
            tried.append(names)
            raise Lost
        assert all(not task.again or len(tasks) == 1 for task in tasks)
        return done(tasks)

    rows = run(RayDouble(NODES, work), batches(30))
    assert_one_row_each(rows, 30)
    assert tried == [["12", "13", "14", "15"], ["13"]]
    failures = [row for row in rows if row.status == FAILED]
    assert [row.source for row in failures] == ["13"]
    assert "ended its worker twice, the second time alone (Lost)" in failures[0].error


def test_a_node_that_is_lost_costs_no_picture(run):
    count = itertools.count(1)

    def work(ray, node, tasks):
        if next(count) == 3:
            ray.lose(node)
            raise Lost(node)
        return done(tasks)

    double = RayDouble(NODES, work)
    rows = run(double, batches(40))
    assert_one_row_each(rows, 40)
    assert {row.status for row in rows} == {DONE}
    assert sorted(double.nodes_alive.values()) == [False, True, True, True]


def test_a_picture_alone_on_two_nodes_that_are_lost_is_not_to_blame(run):
    def work(ray, node, tasks):
        if tasks[0].source == "0" and sum(ray.nodes_alive.values()) > 2:
            ray.lose(node)
            raise Lost(node)
        return done(tasks)

    rows = run(RayDouble(NODES, work), batches(12))
    assert_one_row_each(rows, 12)
    assert {row.status for row in rows} == {DONE}


def test_a_job_whose_own_node_is_lost_ends_and_says_so(run):
    def work(ray, node, tasks):
        ray.lose(OWN)
        return done(tasks)

    with pytest.raises(TfhificError, match=r"was lost\. Start the job again"):
        run(RayDouble(NODES, work), batches(30))


def test_many_that_end_their_workers_are_all_recorded(run):
    def work(ray, node, tasks):
        if any(int(task.source) % 3 == 0 for task in tasks):
            raise Lost
        return done(tasks)

    rows = run(RayDouble(NODES, work), batches(30))
    assert_one_row_each(rows, 30)
    assert {int(row.source) for row in rows if row.status == FAILED} == set(range(0, 30, 3))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda node: {"error": "no such model"}, "no such model"),
        (lambda node: {"fingerprint": node}, "give all nodes the same"),
    ],
)
def test_what_the_workers_cannot_start_with_ends_the_job(run, model, said):
    with pytest.raises(TfhificError, match=said):
        run(RayDouble(NODES, lambda ray, node, tasks: done(tasks), model), batches(30))


def test_workers_that_never_start_end_the_job(run):
    def model(node):
        raise Lost("no memory")

    with pytest.raises(TfhificError, match="workers can't start: no memory"):
        run(RayDouble(NODES, lambda ray, node, tasks: done(tasks), model), batches(30))


def test_workers_raise_what_they_raise_in_a_line(run):
    def model(node):
        raise Lost(
            "The actor died, \x1b[36mray::Worker.__init__()\x1b[39m (pid=1)\nAt least one input:\n"
            "  File a.py, line 1, in <module>\nModuleNotFoundError: No module named 'tfhific'"
        )

    with pytest.raises(TfhificError) as caught:
        run(RayDouble(NODES, lambda ray, node, tasks: done(tasks), model), batches(30))
    said = "workers can't start: ModuleNotFoundError: No module named 'tfhific'"
    assert str(caught.value) == said


def test_no_more_workers_than_a_cluster_has_room_for_unless_it_may_grow(monkeypatch):
    double = RayDouble(NODES, lambda ray, node, tasks: done(tasks))
    monkeypatch.setitem(sys.modules, "ray", double)
    assert engine.workers_of(1) == len(double.nodes())
    assert engine.workers_of(1, 2, grows=False) == 2
    assert engine.workers_of(1, 99, grows=False) == len(double.nodes())
    assert engine.workers_of(8, 99) == 99
    for wanted in (None, 2):
        with pytest.raises(TfhificError, match=r"`cores=8`: expected at most 1"):
            engine.workers_of(8, wanted, grows=False)


def test_a_cluster_that_nobody_has_started_is_told_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", RayDouble(NODES, lambda *_: []))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for address in (f"127.0.0.1:{bound.getsockname()[1]}", "127.0.0.1:99999", ".:1"):
            said = rf"no Ray cluster at {address} \(.+\)\. Start"
            with pytest.raises(TfhificError, match=said), engine.connected(address):
                pass
