"""A job on a Ray cluster of several nodes, one of which is killed in the middle.

`TFHIFIC_BULK_PICTURES` says how many pictures there are.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pathlib
import subprocess
import sys
import time

import pytest

from tests.bulk import cluster_pictures as pictures

ROOT = pathlib.Path(__file__).resolve().parents[2]
KILLED = "127.0.0.2"
COUNT = int(os.environ.get("TFHIFIC_BULK_PICTURES", "60"))
SECONDS = 60 * max(30, COUNT // 20)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow", "fsspec")),
        reason="needs requirements-bulk.txt",
    ),
]


@pytest.fixture
def environment(tmp_path, clean_shell) -> dict[str, str]:
    """Of nodes and commands: as a login shell's, one thread for each network."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(pictures.SITE)
    # A busy machine is no broken one; a node that is killed is known at once all the same.
    patient = {"RAY_worker_register_timeout_seconds": 900, "RAY_health_check_timeout_ms": 120_000}
    # Ray gives workers way to all else that runs; where that is other tests they would stand still.
    patient["RAY_worker_niceness"] = 0
    # Not the checkout: where nothing is installed, workers are told where it is.
    return clean_shell(PYTHONPATH=site, OMP_NUM_THREADS="1", **patient)


@pytest.fixture
def cluster(environment, monkeypatch):
    """A cluster of nodes with a core each, of processes of this machine."""
    from ray.cluster_utils import Cluster

    for name in set(os.environ) - set(environment):
        if name.startswith(("PYTEST", "TF_", "RAY_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20},
    )
    # A job joins the node of its own address, which is the head's or the one last made; the other
    # may be killed.
    for address in (KILLED, "127.0.0.3"):
        made.add_node(num_cpus=1, object_store_memory=80 << 20, node_ip_address=address)
    try:
        yield made
    finally:
        made.shutdown()


def command(name: str, *arguments) -> list[str]:
    script = ROOT / "bin" / f"{name}.py"
    return [sys.executable, str(script), *map(str, arguments), "--runtime=litert"]


def finished(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def started(environment, tmp_path):
    """A function that starts a command; those that outlive the test are ended."""
    processes = []

    def start(*arguments) -> subprocess.Popen:
        process = subprocess.Popen(
            command(*arguments),
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def rows_of(folder: pathlib.Path) -> dict[str, dict]:
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(folder / "manifest.parquet").to_pylist()
    assert len({row["source"] for row in rows}) == len(rows)
    return {row["source"]: row for row in rows}


def outputs(folder: pathlib.Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.glob("*.tfh")}


def test_a_job_outlives_a_node_and_a_picture_and_makes_what_the_single_command_makes(
    cluster, started, tmp_path
):
    source, packed, single = tmp_path / "in", tmp_path / "packed", tmp_path / "single"
    names = pictures.make(source, COUNT)
    bulk = ["bulk", "compress", source, packed, f"--address={cluster.address}", "--batch_size=4"]
    job = started(*bulk)

    until = time.monotonic() + SECONDS
    while len(list(packed.glob("*.tfh"))) < COUNT // 6:
        assert job.poll() is None, finished(job)
        assert time.monotonic() < until
        time.sleep(0.1)
    (node,) = (each for each in cluster.worker_nodes if each.node_ip_address == KILLED)
    cluster.remove_node(node, allow_graceful=False)
    at_the_kill = len(list(packed.glob("*.tfh")))
    code, out, err = finished(job)

    broken = {*pictures.BROKEN, pictures.KILLER}
    good = set(names) - broken
    assert at_the_kill < len(good), "the node was killed too late to matter"
    assert (code, out) == (1, f"{len(good)} done, 0 skipped, {len(broken)} failed\n"), err
    assert "Traceback" not in err
    rows = rows_of(packed)
    assert sorted(rows) == names
    assert {name for name, row in rows.items() if row["status"] == "failed"} == broken
    assert "ended its worker twice" in rows[pictures.KILLER]["error"]
    assert not (packed / "manifest.parquet.parts").exists() or not list(
        (packed / "manifest.parquet.parts").iterdir()
    )
    made = outputs(packed)
    assert sorted(made) == sorted(rows[name]["destination"] for name in good)
    for name in good:
        data = made[rows[name]["destination"]][0]
        assert rows[name]["checksum"] == hashlib.sha256(data).hexdigest()
        assert rows[name]["bytes"] == len(data)

    (source / pictures.KILLER).rename(tmp_path / pictures.KILLER)
    code, _, err = finished(started("compress", source, "-o", single, "--json"))
    assert code == 1, err
    assert {name: data for name, (data, _) in outputs(single).items()} == {
        name: data for name, (data, _) in made.items()
    }
    (tmp_path / pictures.KILLER).rename(source / pictures.KILLER)

    # Nothing is left to do: no cluster is asked for.
    again = [*bulk[:4], "--address=192.0.2.1:1"]
    code, out, err = finished(started(*again))
    assert out.startswith(f"0 done, {len(good)} skipped, 0 failed, {len(broken)} failed before"), (
        err
    )
    assert code == 1
    assert outputs(packed) == made

    added = [pictures.save(source, number) for number in (90_001, 90_002)]
    code, out, err = finished(started(*bulk))
    assert out.startswith(f"2 done, {len(good)} skipped, 0 failed, {len(broken)} failed before"), (
        err
    )
    after = outputs(packed)
    assert {name: after[name] for name in made} == made
    assert sorted(set(after) - set(made)) == sorted(f"{name[:5]}.tfh" for name in added)
    assert sorted(rows_of(packed)) == sorted([*names, *added])
