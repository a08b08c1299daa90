"""The Python client against servers that are not one, or are one behind TLS; and what it writes."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.serving import faulty_double
from tests.serving.faulty_double import http_answer

CLIENT = pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"
TFH = b"TFH no real one"


def started(*command, **environment) -> subprocess.Popen:
    """A program in an environment with nothing in it but what it is given."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.defpath, **environment},
    )


def run(program: str, *arguments, **environment) -> tuple[int, list[str]]:
    """The exit code and the lines of standard error of one of the two programs."""
    process = started(CLIENT / program, *arguments, **environment)
    out, err = process.communicate(timeout=300)
    assert out == b""
    return process.returncode, err.decode().splitlines()


def fails(files, program: str, *arguments) -> str:
    """What the program says when it fails; it must write nothing."""
    before = sorted(files.iterdir())
    code, lines = run(program, *arguments, files / "in", files / "out")
    assert (code, len(lines)) == (1, 1), lines
    assert sorted(files.iterdir()) == before
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "in").write_bytes(b"something")
    return tmp_path


def outputs(**columns) -> bytes:
    return http_answer(json.dumps({"outputs": columns}).encode())


GOOD = outputs(compressed_bytes=[{"b64": "VEZIIG5vIHJlYWwgb25l"}], error=[""])
ANSWERS = {
    "nothing": ([b""], "closed before"),
    "no HTTP": ([b"SSH-2.0-server\r\n"], "expected an HTTP server"),
    "the beginning of HTTP/2": ([b"\0\0\x12\4\0\0\0\0\0" + bytes(18)], "expected an HTTP server"),
    "half a head": ([b"HTTP/1.1 200 OK\r\nContent-Le"], "or a part"),
    "half a body": ([http_answer(b'{"outputs": ', 500)], "cut off after 12 bytes"),
    "no body": ([http_answer(b"", 500)], "cut off after 0 bytes"),
    "half a chunk": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"],
        "cut off after",
    ),
    "half a document": ([http_answer(b'{"outputs": {"error"')], "in JSON"),
    "a web page": ([http_answer(b"<html><body>Welcome</body></html>")], "in JSON"),
    "deep JSON": ([http_answer(b"[" * 100_000)], "in JSON"),
    "other JSON": ([http_answer(b"[1, 2]")], "received other JSON"),
    "no outputs": ([http_answer(b'{"predictions": []}')], "received other JSON"),
    "an output for all": ([http_answer(b'{"outputs": [1]}')], "received other JSON"),
    "garbage base64": (
        [outputs(compressed_bytes=[{"b64": "?!"}], error=[""])],
        "in base64",
    ),
    "base64 cut short": (
        [outputs(compressed_bytes=[{"b64": "VEZII"}], error=[""])],
        "in base64",
    ),
    "no base64": ([outputs(compressed_bytes=[{"b65": ""}], error=[""])], "in base64"),
    "a number for base64": ([outputs(compressed_bytes=[{"b64": 7}], error=[""])], "in base64"),
    "an empty result": (
        [outputs(compressed_bytes=[{"b64": ""}], error=[""])],
        "expected a .tfh file as the answer, received 0 other bytes",
    ),
    "another file": (
        [outputs(compressed_bytes=[{"b64": "iVBORw0KGgo="}], error=[""])],
        "expected a .tfh file",
    ),
    "text for bytes": ([outputs(compressed_bytes=["TFH"], error=[""])], "expected one result"),
    "no result": ([outputs(compressed_bytes=[], error=[])], "expected one result"),
    "no errors": ([outputs(compressed_bytes=[{"b64": "VEZI"}])], "expected one result"),
    "another model's outputs": ([outputs(probabilities=[0.5], error=[""])], "expected one result"),
    "lines and escapes": (
        [outputs(compressed_bytes=[{"b64": ""}], error=["one\ntwo\x1b[31m three"])],
        "one two?[31m three",
    ),
    "a refusal": (
        [http_answer(b'{"error": "no such\\nmodel"}', status="404 Not Found")],
        "no such model",
    ),
    "a refusal that is no JSON": (
        [http_answer(b"<p>", status="502 Bad Gateway")],
        "502 Bad Gateway",
    ),
    "half a refusal": ([http_answer(b'{"err', 99, status="500 Oh")], "500 Oh"),
    "elsewhere": (
        [b"HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\n\r\n"],
        "sends on to http://localhost:1/",
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_is_no_result_ends_in_one_line_and_no_file(case, client, files, capsys):
    parts, words = ANSWERS[case]
    with faulty_double.answering(parts) as double:
        paths = [str(files / "in"), str(files / "out")]
        assert client.main(True, [f"--server=http://{double.address}", *paths]) == 1
        assert len(double.requests) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {files / 'in'}: ")
    assert words in said
    assert said.count("\n") == 1
    assert os.listdir(files) == ["in"]


def test_the_program_says_so_in_an_environment_of_its_own(files):
    parts, words = ANSWERS["half a body"]
    with faulty_double.answering(parts) as double:
        assert words in fails(files, "tfh-decompress", f"--server=http://{double.address}")


def test_an_answer_that_is_a_result_is_written(files):
    with faulty_double.answering([GOOD]) as double:
        code, lines = run(
            "tfh-compress", f"--server=http://{double.address}", files / "in", files / "a"
        )
    assert (code, lines) == (0, [])
    assert (files / "a").read_bytes() == TFH


@pytest.mark.parametrize(
    "parts",
    [[b"", b""], [bytes([byte]) for byte in GOOD], [GOOD[:20], b""]],
    ids=["nothing", "byte by byte", "then nothing"],
)
def test_the_timeout_is_for_the_whole_of_a_slow_answer(parts, files):
    with faulty_double.answering(parts, pause=0.4) as slow:
        begin = time.monotonic()
        options = [f"--server=http://{slow.address}", "--timeout=0.3"]
        assert "within 0.3 s (--timeout)" in fails(files, "tfh-compress", *options)
        assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("http://", "expected an address"),
        ("http://localhost:port", "expected an address"),
        ("http://localhost:99999", "expected an address"),
        ("http://[::1", "expected an address"),
        ("http://user:secret@localhost", "go into a header"),
        ("http://localhost:1/?a=b", "expected an address"),
        ("http://local host", "expected an address"),
        ("http://\u00fc.example", "expected an address"),
        ("http://localhost:9", "refused"),
        ("http://no-such-host.invalid", "known"),
        ("ftp://localhost:1", "expected HOST:PORT"),
        ("http:/localhost:1", "expected HOST:PORT"),
        ("localhost", "expected HOST:PORT"),
        ("localhost:0", "expected HOST:PORT"),
        ("localhost:http", "expected HOST:PORT"),
        ("", "expected HOST:PORT"),
    ],
)
def test_a_wrong_address_is_told_and_nothing_is_written(server, words, client, files, capsys):
    paths = [str(files / "in"), str(files / "out")]
    assert client.main(False, [f"--server={server}", "--timeout=20", *paths]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert os.listdir(files) == ["in"]


def test_a_models_name_can_hold_anything(files):
    with faulty_double.answering([GOOD]) as double:
        options = [f"--server=http://{double.address}", "--model_name=a b/\u00fc?\r\nX: y"]
        assert run("tfh-compress", *options, files / "in", files / "a") == (0, [])
        assert double.requests[0].startswith(
            b"POST /v1/models/a%20b%2F%C3%BC%3F%0D%0AX%3A%20y:predict"
        )


def test_headers_go_with_the_request_and_are_not_shown_when_wrong(client, files, capsys):
    (files / "secrets").write_text("Authorization: Bearer abc\n\nX-Other:  two words \n")
    with faulty_double.answering([GOOD]) as double:
        options = [f"--server=http://{double.address}", "--header=X-One: 1"]
        given = [*options, f"--header=@{files / 'secrets'}"]
        assert run("tfh-compress", *given, files / "in", files / "a") == (0, [])
        lines = double.requests[0].lower().split(b"\r\n")
        for line in (b"x-one: 1", b"authorization: bearer abc", b"x-other: two words"):
            assert line in lines
        for wrong in (
            "hidden",
            "hidden\r\nX: y",
            "X: hidden\r\nY: z",
            "b\u00e4d: hidden",
            ": hidden",
        ):
            paths = [str(files / "in"), str(files / "out")]
            assert client.main(True, [options[0], f"--header={wrong}", *paths]) == 1
            said = capsys.readouterr().err
            assert "expected NAME: VALUE" in said
            assert "hidden" not in said
        assert client.main(True, [options[0], f"--header=@{files}/none", *paths]) == 1
        assert "none: No such file" in capsys.readouterr().err
        assert len(double.requests) == 1
        assert not (files / "out").exists()


def test_no_input_nor_unasked_an_existing_file_is_written_over(files):
    source = files / "in"
    (files / "there").write_bytes(b"kept")
    os.symlink(source, files / "link")
    os.link(source, files / "other name")
    os.mkdir(files / "folder")
    with faulty_double.answering([GOOD]) as double:
        server = f"--server=http://{double.address}"

        def compress(*arguments) -> str:
            code, lines = run("tfh-compress", server, *arguments)
            assert code == 1
            (line,) = lines
            return line

        for spelling in ("in", "./in", "link", "other name", "folder/../in"):
            for options in ([], ["--overwrite"]):
                said = compress(*options, source, f"{files}/{spelling}")
                assert "is the input itself" in said
        assert "--overwrite replaces it" in compress(source, files / "there")
        assert "expected the name of a file" in compress("--overwrite", source, files / "folder")
        assert "make it first" in compress(source, files / "no" / "folder")
        assert "ends in .tfh" in compress(source, files / "a.png")
        assert "Is a directory" in compress(files / "folder", files / "a")
        assert "none: No such file" in compress(files / "none", files / "a")
        # Not even asked.
        assert double.requests == []
        assert (files / "there").read_bytes() == b"kept"
        assert run("tfh-compress", server, "--overwrite", source, files / "there") == (0, [])
        assert (files / "there").read_bytes() == TFH
        assert run("tfh-compress", server, "--force_name", source, files / "a.png") == (0, [])
        assert run("tfh-compress", server, source, "/dev/null") == (0, [])
        assert not os.path.isfile("/dev/null")
    assert source.read_bytes() == b"something"
    assert len(list(files.iterdir())) == 6


def test_an_output_that_appears_meanwhile_is_kept(client, files):
    (files / "out").write_bytes(b"kept")
    with pytest.raises(client.FileError, match="File exists"):
        client.write(str(files / "out"), b"new", overwrite=False)
    assert (files / "out").read_bytes() == b"kept"
    assert len(list(files.iterdir())) == 2


def test_permissions_are_what_the_umask_says(client, files):
    before = os.umask(0o077)
    try:
        client.write(str(files / "out"), b"new", overwrite=False)
    finally:
        os.umask(before)
    assert (files / "out").stat().st_mode & 0o777 == 0o600


def test_an_interruption_ends_with_its_own_exit_code_and_one_line(files):
    with faulty_double.answering([b"", b""], pause=60) as silent:
        command = [CLIENT / "tfh-compress", f"--server=http://{silent.address}"]
        process = started(*command, files / "in", files / "out")
        for _ in range(600):
            if silent.requests:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"error: interrupted, nothing was written\n"
    assert not (files / "out").exists()


@pytest.mark.parametrize(
    "option", ["--timeout=0", "--timeout=nan", "--timeout=soon", "--quality=nan"]
)
def test_a_number_that_is_none_is_a_wrong_command_line(option, files):
    code, lines = run("tfh-compress", option, files / "in", files / "out")
    assert code == 2
    assert option[2:9].split("=")[0] in lines[-1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a key and of a certificate for `localhost` that is its own authority's."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder / "key.pem", folder / "cert.pem"


@pytest.fixture(scope="module")
def encrypted(loaded, certificate):
    """The test double of the server, behind TLS."""
    from tests.serving import serving_double

    with serving_double.serve(loaded, "tiny", certificate) as served:
        yield served


def address_of(served, door: str) -> str:
    address = served.rest_address if door == "rest" else served.grpc_address
    if address is None:
        pytest.skip("needs grpcio and tensorflow-serving-api")
    return address


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_tls_with_the_authoritys_certificate_and_headers(
    door, client, encrypted, certificate, tmp_path, tiny_codec, photo, capsys
):
    data = tiny_codec.compress(photo(40, 50))
    (tmp_path / "in").write_bytes(data)
    paths = [str(tmp_path / "in"), str(tmp_path / "out")]
    address = address_of(encrypted, door)
    options = [f"--server={address}", "--model_name=tiny"]
    trust = f"--ca={certificate[1]}"
    header = "--header=X-Token: Secret"
    # Without its authority the server is not trusted.
    encrypted.headers = {}
    assert client.main(False, [*options, "--tls", "--timeout=20", header, *paths]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert encrypted.headers == {}
    assert client.main(False, [*options, trust, header, *paths]) == 0
    assert encrypted.headers["x-token"] == "Secret"
    # What is no certificate is told, and so is TLS with an address that has none.
    for wrong in (tmp_path / "in", tmp_path / "none"):
        assert client.main(False, [*options, f"--ca={wrong}", *paths, "--overwrite"]) == 1
        assert "expected a file of certificates" in capsys.readouterr().err
    plain = address.replace("https://", "http://")
    options = [f"--server={plain}", "--timeout=20", *paths, "--overwrite"]
    if door == "rest":
        assert client.main(False, [*options, trust]) == 1
        assert "expected https://" in capsys.readouterr().err
    assert client.main(False, options) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_the_timeout_is_an_option(door, client, double, files, capsys):
    options = [f"--server={address_of(double, door)}", "--model_name=tiny", "--timeout=0.2"]
    double.delay = 1.0
    try:
        assert client.main(False, [*options, str(files / "in"), str(files / "out")]) == 1
    finally:
        double.delay = 0.0
    assert "within 0.2 s (--timeout)" in capsys.readouterr().err


@pytest.mark.parametrize("parts", [[b""], [http_answer(b"{}")], [bytes(100)]])
def test_what_is_no_grpc_server_ends_in_one_line(parts, client, files, capsys):
    pytest.importorskip("tensorflow_serving")
    with faulty_double.answering(parts) as double:
        options = [f"--server={double.address}", "--timeout=5"]
        assert client.main(False, [*options, str(files / "in"), str(files / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {files / 'in'}: {double.address}: ")
    assert said.count("\n") == 1
    assert not (files / "out").exists()


def test_tensors_that_are_not_what_they_claim_are_an_error(client):
    pytest.importorskip("tensorflow_serving")
    import tensorflow as tf
    import tfh_client

    good = tf.make_tensor_proto([b"TFH"])
    assert tfh_client._values("compressed_bytes", good) == [b"TFH"]
    assert tfh_client._values("error", tf.make_tensor_proto([b"\xff"])) == ["\ufffd"]
    # A shape of a thousand terabytes, and one value for all of it.
    vast = tf.make_tensor_proto([1.0])
    vast.tensor_shape.dim[0].size = 1 << 50
    more = tf.make_tensor_proto([b"a", b"b"])
    more.tensor_shape.dim[0].size = 3
    negative = tf.make_tensor_proto([1.0])
    negative.tensor_shape.dim[0].size = -1
    for tensor in (vast, more, negative, tf.make_tensor_proto(b"scalar")):
        with pytest.raises(ValueError, match=r"strings|larger"):
            tfh_client._values("error", tensor)


def test_the_grpc_program_works_in_an_environment_of_its_own(double, tmp_path, tiny_codec, photo):
    address = address_of(double, "grpc")
    (tmp_path / "in.tfh").write_bytes(tiny_codec.compress(photo(40, 50)))
    command = [f"--server={address}", "--model_name=tiny", tmp_path / "in.tfh"]
    code, lines = run("tfh-decompress", *command, tmp_path / "out.png")
    assert code == 0, lines
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
