"""`bin/bench.py --serving` asks a server as a user's client does."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def bench(call_script):
    short = ("--model=tiny", "--size=64,48", "--seconds=0.1", "--concurrency=1,2")
    return lambda *arguments: call_script("bench", "--serving", *short, *arguments)


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_a_server_is_measured_with_the_headers_that_it_wants(door, bench, double, tmp_path):
    address = double.rest_address if door == "rest" else double.grpc_address
    if address is None:
        pytest.skip("needs grpcio and tensorflow-serving-api")
    (tmp_path / "secret").write_text("X-Token: Hidden\n")
    double.headers = {}
    headers = ("--header=X-More: 1", f"--header=@{tmp_path / 'secret'}")
    # The first requests wait for the graph's set-up, long where other tests run beside it.
    done = bench(f"--server={address}", "--timeout=600", *headers)
    assert (done.code, done.err) == (0, "")
    assert (double.headers["x-token"], double.headers["x-more"]) == ("Hidden", "1")
    found = re.findall(r"^(\w+), +(\d) at once: .* a second; p50 \d+", done.out, re.MULTILINE)
    assert found == [(name, at) for name in ("compress", "decompress") for at in ("1", "2")]


def test_a_server_that_is_too_slow_ends_it_with_one_line(bench, double):
    double.delay = 1.0
    try:
        done = bench(f"--server={double.rest_address}", "--timeout=0.2")
    finally:
        double.delay = 0.0
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "within 0.2 s (--timeout)" in done.err


def test_certificates_that_are_none_are_told_before_anything_is_measured(bench, tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    done = bench("--server=https://localhost:1", f"--ca={tmp_path / 'ca.pem'}")
    assert (done.code, done.out) == (1, "")
    assert "expected a file of certificates" in done.err
