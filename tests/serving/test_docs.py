"""The examples of docs/serving.md, executed as they stand but for the server's address and name."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.serving import pictures
from tfhific.pictures.images import read_picture

ROOT = pathlib.Path(__file__).resolve().parents[2]


def example(name: str) -> str:
    text = (ROOT / "docs" / "serving.md").read_text()
    found = re.search(rf"<!-- executed by the tests: {name} -->\n```\w+\n(.*?)```", text, re.S)
    assert found, f"docs/serving.md has no example {name}"
    return found[1]


@pytest.fixture(scope="module")
def server(export_folder, loaded):
    """A real server's gRPC and REST addresses where there is one, else the test double's."""
    program = shutil.which("tensorflow_model_server")
    if program is None:
        from tests.serving import serving_double

        with serving_double.serve(loaded, "tiny") as double:
            yield double.grpc_address, double.rest_address
        return
    import socket
    import time
    import urllib.request

    ports = []
    for _ in range(2):
        with socket.socket() as listener:
            listener.bind(("localhost", 0))
            ports.append(listener.getsockname()[1])
    process = subprocess.Popen(
        [
            program,
            f"--port={ports[0]}",
            f"--rest_api_port={ports[1]}",
            "--model_name=tiny",
            f"--model_base_path={export_folder}",
            "--enable_batching=true",
            f"--batching_parameters_file={ROOT / 'deploy' / 'batching.config'}",
        ]
    )
    try:
        address = f"http://localhost:{ports[1]}"
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{address}/v1/models/tiny") as answer:
                    if b"AVAILABLE" in answer.read():
                        break
            except OSError:
                time.sleep(0.5)
        yield f"localhost:{ports[0]}", address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a photograph, as the examples want it."""
    (tmp_path / "photo.jpg").write_bytes(pictures.readable()["jpeg-exif-6"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def adapted(code: str, server) -> str:
    grpc, rest = server
    code = code.replace("http://localhost:8501", rest).replace("localhost:8500", str(grpc))
    return code.replace("models/mini", "models/tiny").replace('"mini"', '"tiny"')


def test_the_rest_example_compresses_and_decompresses(here, server, tiny_codec, capsys):
    exec(compile(adapted(example("rest"), server), "rest", "exec"), {})
    assert "0 bytes" in capsys.readouterr().out
    packed = tiny_codec.compress_picture(read_picture(here / "photo.jpg"), 4.0)
    expected = tiny_codec.decompress(packed)
    assert np.array_equal(read_picture(here / "photo.png").pixels, expected)


def test_the_grpc_example_compresses(here, server, tiny_codec, capsys):
    pytest.importorskip("tensorflow_serving")
    exec(compile(adapted(example("grpc"), server), "grpc", "exec"), {})
    assert "received none of these" in capsys.readouterr().out
    expected = tiny_codec.compress_picture(read_picture(here / "photo.jpg"), 5.0)
    assert (here / "photo.tfh").read_bytes() == expected


def test_the_shell_example_compresses(here, server, tiny_codec):
    if not (shutil.which("curl") and shutil.which("base64")):
        pytest.skip("needs curl and base64")
    code = adapted(example("curl"), server)
    subprocess.run(["bash", "-euc", code], check=True, timeout=300)
    outputs = json.loads((here / "answer.json").read_text())["outputs"]
    expected = tiny_codec.compress_picture(read_picture(here / "photo.jpg"), 5.0)
    assert base64.b64decode(outputs["compressed_bytes"][0]["b64"]) == expected
    assert outputs["error"] == [""]


def test_rows_are_answered_with_rows(server, here, tiny_codec):
    import urllib.request

    image = {"b64": base64.b64encode((here / "photo.jpg").read_bytes()).decode()}
    rows = [{"image_bytes": image, "quality": 2.0}, {"image_bytes": {"b64": ""}, "quality": 2.0}]
    body = json.dumps({"signature_name": "compress_at", "instances": rows}).encode()
    url = f"{server[1]}/v1/models/tiny:predict"
    with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
        first, second = json.load(answer)["predictions"]
    expected = tiny_codec.compress_picture(read_picture(here / "photo.jpg"), 2.0)
    assert base64.b64decode(first["compressed_bytes"]["b64"]) == expected
    assert second["compressed_bytes"] == {"b64": ""}
    assert "0 bytes" in second["error"]


def test_the_models_status_is_told(server):
    import urllib.request

    with urllib.request.urlopen(f"{server[1]}/v1/models/tiny") as answer:
        assert json.load(answer)["model_version_status"][0]["state"] == "AVAILABLE"


def test_saved_model_cli_shows_and_runs_an_export(here, export_folder):
    program = pathlib.Path(sys.executable).parent / "saved_model_cli"
    if not program.exists():
        pytest.skip("needs saved_model_cli")
    code = example("saved_model_cli").replace("served/mini", str(export_folder))
    code = code.replace("saved_model_cli", str(program)).replace("python ", f"{sys.executable} ")
    done = subprocess.run(
        ["bash", "-euc", code], capture_output=True, timeout=600, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "inputs['compressed_bytes'] tensor_info" in done.stdout
    assert "outputs['image_bytes'] tensor_info" in done.stdout
    # What saved_model_cli writes are pickled strings: only their presence is looked at.
    assert (here / "out" / "compressed_bytes.npy").stat().st_size > 100
