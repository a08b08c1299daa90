"""The Node.js client's own part, on a double of tfjs-node: what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest

from tests.serving.test_clients import CLIENTS, check_outputs, run

PNG = "\x89PNG\r\n\x1a\n and the rest"

# A model that answers with what the variable ANSWER says: strings of an output, or other things.
DOUBLE = """
const answer = JSON.parse(process.env.ANSWER);
const tensor = (strings) => ({
  dtype: typeof strings[0] === 'number' ? 'float32' : 'string',
  bytes: async () => strings.map((text) => Buffer.from(text, 'latin1')),
});
module.exports = {
  tensor: (value, shape, dtype) => ({value, shape, dtype}),
  tensor1d: (value, dtype) => ({value, dtype}),
  dispose: () => {},
  node: {
    loadSavedModel: async (folder, tags, signature) => ({
      predict: (inputs) => {
        if (process.env.ASKED) {
          const asked = {signature, quality: inputs.quality && inputs.quality.value[0]};
          require('fs').writeFileSync(process.env.ASKED, JSON.stringify(asked));
        }
        if (answer === null) throw 'a text that is no Error';
        return Object.fromEntries(Object.entries(answer).map(([k, v]) => [k, tensor(v)]));
      },
    }),
  },
};
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    if shutil.which("node") is None:
        pytest.skip("needs node, which is not installed")
    folder = tmp_path_factory.mktemp("node")
    for path in (CLIENTS / "node").glob("*.js"):
        shutil.copy(path, folder)
    package = folder / "node_modules" / "@tensorflow" / "tfjs-node"
    package.mkdir(parents=True)
    (package / "index.js").write_text(DOUBLE)
    return folder / "tfh-compress.js", folder / "tfh-decompress.js"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "in.tfh").write_bytes(b"TFH")
    (tmp_path / "in.png").write_bytes(PNG.encode("latin1"))
    return tmp_path


def answered(answer, program: pathlib.Path, *arguments, **environment):
    """The exit code and standard error of a program whose model answers so."""
    done = run(program, *arguments, ANSWER=json.dumps(answer), **environment)
    return done.returncode, done.stderr.decode()


def test_nothing_is_written_over_unasked(programs, files, monkeypatch):
    monkeypatch.setenv("ANSWER", json.dumps({"error": [""], "image_bytes": [PNG]}))
    check_outputs(programs, files, files / "model")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": ["it is damaged\nand more"], "image_bytes": [""]}, "it is damaged"),
        ({"error": [""], "image_bytes": [""]}, "received 0 other bytes"),
        ({"error": [""], "image_bytes": ["TFH"]}, "expected a PNG file from the model"),
        ({"error": [""], "image_bytes": []}, "expected one result"),
        ({"error": [""]}, "expected one result"),
        ({"image_bytes": [PNG]}, "expected one result"),
        ({"error": [0.5], "image_bytes": [PNG]}, "expected one result"),
        (None, "a text that is no Error"),
    ],
)
def test_what_the_model_answers_is_a_file_or_one_line(answer, words, programs, files):
    before = sorted(os.listdir(files))
    model = f"--model={files / 'model'}"
    code, said = answered(answer, programs[1], model, files / "in.tfh", files / "out.png")
    assert code == 1
    assert said.startswith(f"error: {files / 'in.tfh'}: ")
    assert words in said
    assert said.count("\n") == 1
    assert sorted(os.listdir(files)) == before


def test_a_quality_is_asked_for_only_where_one_is_given(programs, files):
    good = {"error": [""], "compressed_bytes": ["TFH..."]}
    command = [programs[0], f"--model={files / 'model'}", "--overwrite"]
    paths = [files / "in.png", files / "out.tfh"]
    asked = files / "asked"
    for options, expected in (
        ([], {"signature": "compress"}),
        (["--quality=0"], {"signature": "compress_at", "quality": 0}),
        (["--quality=2.5"], {"signature": "compress_at", "quality": 2.5}),
    ):
        assert answered(good, *command, *options, *paths, ASKED=str(asked)) == (0, "")
        assert json.loads(asked.read_text()) == expected
        assert (files / "out.tfh").read_bytes() == b"TFH..."
    for quality in ("", " ", "nan", "Infinity", "high"):
        code, said = answered(good, *command, f"--quality={quality}", *paths)
        assert code == 2
        assert said.startswith("error: --quality: expected a number")
    assert answered(good, programs[1], "--quality=2", *command[1:], *paths)[0] == 2


def test_a_missing_package_is_told_with_what_installs_it(programs, files, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in programs[0].parent.glob("*.js"):
        shutil.copy(path, alone)
    paths = (files / "in.tfh", files / "out.png")
    code, said = answered({}, alone / "tfh-decompress.js", f"--model={files / 'model'}", *paths)
    assert code == 1
    assert "clients/node/build.sh installs it" in said
    assert said.count("\n") == 1
