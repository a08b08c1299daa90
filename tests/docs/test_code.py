"""The Python of README.md and docs/ runs as it stands, each program in a process of its own."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import textwrap

import pytest
from PIL import Image

from tests.bin import documented
from tests.bin.documented import ROOT

# What runs elsewhere, and what is a part of a program, by a line that is in it.
ELSEWHERE = {
    "url = ": "tests/serving/test_docs.py runs it against a server",
    "grpc.insecure_channel": "tests/serving/test_docs.py runs it against a server",
}
# What a page's text has made before its programs.
BEFORE = {"docs/tutorials/serve.md": ["export.py", "--model=mini", "--out=served/mini"]}


def programs(document: str) -> list[str]:
    """The Python blocks of a document, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


DOCUMENTS = [name for name in (*documented.DOCUMENTS, "tfc_port/README.md") if programs(name)]


@pytest.fixture
def here(tmp_path, photo) -> pathlib.Path:
    """A folder with the pictures that the programs take for granted."""
    (tmp_path / "kodak").mkdir()
    for name in ("photo.jpg", "kodak/a.png"):
        Image.fromarray(photo(192, 256, 3)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_program_of_a_document_compiles(document):
    for number, program in enumerate(programs(document)):
        compile(program, f"{document}, program {number}", "exec")


@pytest.mark.apart
@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_program_of_a_document_runs(document, here, run_python, monkeypatch):
    monkeypatch.chdir(here)
    # From TensorFlow 2.16 on, as docs/migrate_from_tfc.md says.
    legacy = importlib.util.find_spec("tf_keras") is not None
    environment = {"TF_USE_LEGACY_KERAS": "1"} if legacy else {}
    if document in BEFORE:
        script, *flags = BEFORE[document]
        done = run_python(ROOT / "bin" / script, *flags)
        assert done.returncode == 0, done.stderr.decode()
    ran = 0
    for number, program in enumerate(programs(document)):
        if any(line in program for line in ELSEWHERE):
            continue
        # Processes that it starts read the file anew, and are not to run it again.
        guarded = 'if __name__ == "__main__":\n' + textwrap.indent(program, "    ")
        (here / "program.py").write_text(guarded)
        done = run_python("program.py", environment=environment)
        assert done.returncode == 0, f"{document}, {number}:\n{program}\n{done.stderr.decode()}"
        ran += 1
    if not ran:
        pytest.skip("all of its programs are run by other tests")
