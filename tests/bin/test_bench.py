"""`bin/bench.py`: each of its jobs measures what it says, and mistakes are told first."""

from __future__ import annotations

import re

import pytest

from tfhific.commands import bench_commands
from tfhific.commands.bench_commands import Coding, Cost
from tfhific.commands.synthetic import synthetic_picture


def test_the_synthetic_picture_is_the_same_at_every_call_and_not_flat():
    first, second = synthetic_picture(40, 30), synthetic_picture(40, 30)
    assert first.shape == (30, 40, 3)
    assert (first == second).all()
    assert first.std() > 10


def test_coding_cost_is_bytes_over_the_estimate(call_script, tiny_codec):
    done = call_script("bench", "--model=tiny", "--coding_cost", "--sizes=96x64")
    pixels = synthetic_picture(768, 512)[:64, :96]
    size, estimate = len(tiny_codec.compress(pixels)), tiny_codec.estimate_bpp(pixels) * 96 * 64 / 8
    assert f"96x64: {size:,} bytes, estimate {estimate:,.0f} " in done.out
    assert done.code == int(size - estimate > 0.01 * estimate + 64)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sizes=3"], "--sizes: expected"),
        (["--sizes=0x5"], "--sizes: expected"),
        (["--sizes=5x5,x"], "--sizes: expected"),
        (["--size=5"], "--size: expected 2 positive integers"),
        (["--serving", "--concurrency=many"], "--concurrency: expected positive integers"),
        (["--serving", "--header=A: b"], "expected --server=ADDRESS"),
        (["--serving", "--server=http://:0"], "expected an address"),
        (["--serving", "--server=localhost:8500", "--header=none"], "expected NAME: VALUE"),
        (["--quality=120%"], "0% to 100%"),
        (["--runtime=onnx"], "runtime among auto, tensorflow, litert"),
        (["--runtime="], "--runtime: expected auto, tensorflow or litert"),
        (["a.png", "b.png"], "unexpected argument 'b.png'"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_measured(arguments, said, call_script):
    done = call_script("bench", "--model=tiny", *arguments)
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"error: [^\n]*\n", done.err)
    assert said in done.err


def test_commands_of_several_sizes_are_timed_in_turns_and_medians_shown(monkeypatch, capsys):
    calls = []

    def measured(name, *arguments) -> Cost:
        calls.append((name, arguments[0].rsplit("/", 1)[1]))
        run = (len(calls) - 1) // 4
        return Cost([5.0, 1.0, 2.0][run], 100.0, 0.5)

    monkeypatch.setattr(bench_commands, "measure_command", measured)
    bench_commands.compare_sizes([(1000, 500), (40, 30)], Coding("tiny", "float32", 5.0, 3))
    turn = [("compress", "0.png"), ("decompress", "0.tfh")]
    turn += [("compress", "1.png"), ("decompress", "1.tfh")]
    assert calls == 3 * turn
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("bin/compress.py, 1000x500, 0.5 megapixels: 2.0 s, 4.00 s a megapix")
    assert len(lines) == 4


def test_runtimes_are_compared_in_turns_each_with_its_own_lines(monkeypatch, capsys):
    calls = []

    def measured(name, *arguments) -> Cost:
        runtimes = [text for text in arguments if text.startswith("--runtime=")]
        calls.append((name, *runtimes))
        return Cost(3.0 if runtimes == ["--runtime=tensorflow"] else 1.0, 100.0, 0.5)

    monkeypatch.setattr(bench_commands, "measure_command", measured)
    coding = Coding("tiny", "float32", None, 2, ("tensorflow", "litert"))
    bench_commands.time_commands(synthetic_picture(40, 30), coding)
    turn = [
        (name, f"--runtime={runtime}")
        for runtime in ("tensorflow", "litert")
        for name in ("compress", "decompress")
    ]
    assert calls == turn
    assert [line.partition(", peak")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"bin/{name}.py, {runtime}, whole process: median {seconds} s"
        for name in ("compress", "decompress")
        for runtime, seconds in (("tensorflow", "3.00"), ("litert", "1.00"))
    ]


@pytest.mark.parametrize("job", ["--coding_cost", "--serving"])
def test_what_measures_tensorflow_alone_refuses_another_runtime(job, call_script):
    pytest.importorskip("ai_edge_litert")
    done = call_script("bench", "--model=tiny", job, "--runtime=tensorflow,litert")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"error: --\w+ measures TensorFlow alone: [^\n]*\n", done.err)


def test_a_loaded_codec_is_timed_by_litert_alone_without_tensorflow(run_python, models_folder):
    pytest.importorskip("ai_edge_litert")
    code = (
        "import sys; from tfhific.commands import bench, bench_commands; "
        "bench_commands.time_commands = lambda *_: print('tensorflow' in sys.modules); bench.run()"
    )
    done = run_python(
        "-c",
        code,
        "--model=tiny",
        "--runtime=litert",
        "--runs=1",
        "--size=64,48",
        environment={"TFHIFIC_MODELS": str(models_folder)},
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    first, *times, loaded = done.stdout.decode().splitlines()
    assert first.startswith("64x48, quality 5, ")
    assert [line[:28] for line in times] == [
        "encode, loaded, coder python",
        "decode, loaded, coder python",
    ]
    assert loaded == "False"


def test_a_command_that_fails_while_it_is_timed_is_told(call_script, monkeypatch):
    def fails(name, *arguments):
        raise bench_commands.TfhificError(f"bin/{name}.py, whose time was taken, ended")

    monkeypatch.setattr(bench_commands, "measure_command", fails)
    done = call_script("bench", "--model=tiny", "--sizes=40x30", "--runs=1")
    assert (done.code, done.err.count("\n")) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs=1", "--size=64,48"], ["encode, loaded, coder", "decompress.py, whole process"]),
        (["--runs=1", "--sizes=64x48"], ["compress.py, 64x48", "peak"]),
        (
            ["--runs=1", "--size=64,48", "--runtime=tensorflow,litert"],
            ["decode, loaded, litert, coder python", "compress.py, litert, whole process"],
        ),
        (["--coding_cost", "--sizes=768x512"], ["768x512: "]),
        (["--serving", "--runs=1", "--seconds=.2", "--concurrency=2"], ["8 at a time: Python"]),
        (["--random_weights=hific-tiny", "--runs=1", "--sizes=64x48"], ["compress.py, 64x48"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("--") else None,
)
def test_each_job_measures_in_a_process_of_its_own(arguments, said, run_python):
    done = run_python("-m", "tfhific", "bench", *arguments)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    for text in said:
        assert text in done.stdout.decode()
