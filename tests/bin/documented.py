"""The commands that the documents show, and how the tests run each."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "clients/README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
)

_PROGRAM = re.compile(
    r"^(?:[A-Z_]+=\S* )*(?:bin/\w+(?:\.py)?|python3?|pip|docker|kubectl|source|bazel|clients/\S+"
    r"|saved_model_cli|curl|tfhific(?:-[\w-]+)?|go|node|npm|cp|mkdir)(?:\s|$)|^[A-Z]+=['\"]"
)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command as it is shown.

    Attributes:
      document: path below the repository's root.
      section: the heading that it stands under.
      line: its number there.
      text: as one line, comments left out.
    """

    document: str
    section: str
    line: int
    text: str


def commands(document: str) -> list[Command]:
    """The commands of a document's code blocks, in order.

    Of an indented block, which may also be what a program prints, only lines that begin with a
    program's name count; of a block marked as shell, every line.
    """
    found, section, fence, held = [], "", None, ""
    for number, line in enumerate((ROOT / document).read_text().splitlines(), 1):
        if line.startswith("```"):
            fence = None if fence is not None else line[3:].strip()
            continue
        if fence is None and line.startswith("#"):
            section = line.lstrip("# ")
        shell = fence in ("bash", "sh", "console")
        if not shell and not (fence is None and line.startswith("    ")):
            continue
        text = line.strip()
        if not held and not (shell and text) and not _PROGRAM.match(text):
            continue
        held = f"{held} {text}".strip()
        if held.endswith("\\"):
            held = held[:-1].rstrip()
            continue
        text = re.sub(r"\s{2,}#.*$", "", held)
        if not text.startswith("#"):
            found.append(Command(document, section, number, text))
        held = ""
    return found


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a command is run.

    Attributes:
      skip: why it is not, or "".
      change: what becomes of its words.
      before: commands that make what the document takes for granted.
      needs: programs without which it is not run.
    """

    skip: str = ""
    change: object = staticmethod(lambda words: words)
    before: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def reason_against(self) -> str:
        """Why the command is not run here, or ""."""
        absent = [program for program in self.needs if shutil.which(program) is None]
        return self.skip or (f"needs {' and '.join(absent)}" if absent else "")


_TINY = {
    "gc": {"width": 2, "blocks": 1, "discriminator_width": 2},
    "sc": {
        **{"width": 2, "blocks": 1, "discriminator_width": 2},
        **{"label_width": 2, "label_features": 3},
    },
    "inversion": {"width": 4, "latent": 8},
    "mini": {"latent_channels": 16, "hyper_channels": 8, "fine_channels": 8, "coarse_channels": 8},
    "cgan": {"noise_units": 8, "label_units": 8, "joint_units": 16},
}


def shorter_training(words: list[str]) -> list[str]:
    """A training of two steps of a tiny model, all else as documented."""
    flags = dict(word[2:].split("=", 1) for word in words if re.match(r"--\w+=", word))
    model = flags.get("model", "mini")
    kept = [w for w in words if w != "..." and not re.match(r"--(steps|minutes|batch_size)=", w)]
    settings = {**json.loads(flags.get("settings", "{}")), **_TINY.get(model, {})}
    kept = [w for w in kept if not w.startswith(("--settings=", "--crop="))]
    if "--resume" in kept:
        return [*kept, "--steps=4"]
    kept = [re.sub(r"^--config=hific-.*", "--config=hific-tiny", word) for word in kept]
    kept = [re.sub(r"^--data=tfds:.*", "--data=photos/", word) for word in kept]
    if not any(word.startswith("--run_dir") for word in kept):
        kept += ["--data=photos/", "--run_dir=runs/shown"]
    if model in ("mini", "hific", "labels", "gc", "sc"):
        # The PyTorch variant's discriminator needs twice the picture.
        kept.append("--crop=128" if settings.get("variant") == "pytorch" else "--crop=64")
    if settings:
        kept.append(f"--settings={json.dumps(settings)}")
    return [*kept, "--steps=2", "--batch_size=2", "--image_every=0"]


def shorter_search(words: list[str]) -> list[str]:
    """Few steps of a search; of efforts that search, the quickest."""
    words = [re.sub(r"^--search_steps=\d+", "--search_steps=5", word) for word in words]
    return [re.sub(r"^--effort=[6-9]", "--effort=5", word) for word in words]


def fewer_files(words: list[str]) -> list[str]:
    """An evaluation of one picture at two qualities, for what has any."""
    more = ["--max_images=1", "--report_images=1"]
    if not any(word.startswith("--match") for word in words):
        more += ["--qualities=2,6"]
    return [*words, *more]


def shorter_digits(words: list[str]) -> list[str]:
    """A judgement of few samples."""
    return [*words, "--samples=10", "--validation=20"]


def shorter_bench(words: list[str]) -> list[str]:
    """A load test of moments."""
    return [*words, "--runs=1", "--seconds=0.2", "--concurrency=1", "--size=64,48"]


_SERVER = "needs a server; tests/serving/test_docs.py and test_clients.py run it against one"
RECIPES: tuple[tuple[str, Recipe], ...] = (
    (r"bin/test\b", Recipe("is what runs this")),
    (
        r"bin/(demo|decompress)\b.*--decoder=models/my-v2-realistic",
        Recipe(
            before=(
                "mkdir -p models",
                "cp -r tfhific/zoo/mini-v2 models/my-v2",
                "cp -r tfhific/zoo/mini-v2-realistic models/my-v2-realistic",
                "bin/compress.py photo.jpg --overwrite --model=models/my-v2",
            )
        ),
    ),
    (r"bin/demo\b", Recipe()),
    (r"source \.venv", Recipe("the tests' own environment is on the PATH")),
    (r"[A-Z]+=['\"]", Recipe("a shell variable, put into the commands after it")),
    (r"docker |kubectl |sbatch ", Recipe("needs Docker or a cluster; tests/deploy")),
    (
        r"export TF_CONFIG=|bin/train\.py .*--strategy=multiworker",
        Recipe("needs two machines; tests/training/test_workers.py starts two workers on one"),
    ),
    (r"curl |printf ", Recipe(_SERVER)),
    (r".*--server=", Recipe(_SERVER)),
    (r"clients/c/", Recipe(needs=("gcc",))),
    (r"clients/go/", Recipe(needs=("go", "gcc"))),
    (r"clients/node/", Recipe("needs npm's registry; tests/serving/test_clients.py runs it")),
    (r"(\S*python -m )?pip install", Recipe("needs the network")),
    (r"bin/import_lpips\.py", Recipe("needs lpips, torchvision and the network")),
    (r".*tests/fuzzing", Recipe("tests/fuzzing runs it")),
    (r"\.venv/bin/python -m ruff ", Recipe("the continuous checks run it")),
    (
        r"python3 -m venv \.venv-docs|\.venv-docs/",
        Recipe("tests/docs/test_site.py builds the site"),
    ),
    (
        r"python tools/train_torch/",
        Recipe("tests/interop/test_train_torch.py and test_realistic.py run it"),
    ),
    (r"python tools/", Recipe("makes the documentation's own figures from models that took hours")),
    (r"python -m tfc_port run ", Recipe("tests/tfc_port/test_alias.py runs it")),
    (r"python -m tfc_port\.convert ", Recipe("tests/tfc_port/test_convert.py converts")),
    (r"saved_model_cli |python -c", Recipe("tests/serving/test_docs.py runs it")),
    (
        r".*--labels=labels\.png --keep=car,pedestrian",
        Recipe(before=("cp -r made/my-sc models/my-sc",)),
    ),
    (
        r".*--decoder=models/hific-low-realistic",
        Recipe(
            before=(
                "cp -r models/hific-low models/hific-low-realistic",
                "bin/compress.py photo.jpg --overwrite --model=models/hific-low",
            )
        ),
    ),
    (
        r".*--stream_of=models/lo-1",
        Recipe(
            before=(
                "bin/publish.py runs/lo-1 lo-1 --out=models",
                "bin/compress.py photo.jpg --overwrite --model=models/lo-1",
            )
        ),
    ),
    (r"bin/train\.py ", Recipe(change=shorter_training)),
    (r"bin/compress\.py ", Recipe(change=shorter_search)),
    (r".*bin/decompress\.py ", Recipe()),
    (r"bin/publish\.py ", Recipe()),
    (r"bin/info\.py ", Recipe()),
    (r"bin/evaluate\.py .*--branch_cost", Recipe(change=lambda w: [*w, "--max_images=1"])),
    (r"bin/evaluate\.py ", Recipe(change=fewer_files)),
    (r"bin/digits\.py ", Recipe(change=shorter_digits)),
    (r"bin/bench\.py ", Recipe(change=shorter_bench)),
    (r"bin/(import|export)_torch\.py ", Recipe()),
    (r"bin/bulk\.py ", Recipe("needs a Ray cluster; tests/bulk/test_cluster.py runs it on one")),
    (r"bin/(export|batch|make_shards)\.py ", Recipe()),
)


def recipe_for(command: Command) -> Recipe | None:
    """How a command is run, None where nobody has said."""
    text = _OF_ONE_COMMAND.sub(lambda found: _launcher(found[1]), command.text)
    return next((recipe for form, recipe in RECIPES if re.match(form, text)), None)


_OF_ONE_COMMAND = re.compile(r"(?<![\w./-])(?:bin/)?tfhific ([a-z-]+)(?=\s|$)")


def _launcher(name: str) -> str:
    """`bin/compress.py` of `compress`: recipes are told from that."""
    return f"bin/{name.replace('-', '_')}.py"


def is_assignment(command: Command) -> bool:
    """Whether it is a line `NAME='...'` alone."""
    return re.match(r"[A-Z]+=['\"]", command.text) is not None


def words_of(command: Command, assignments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Variables before a command and its words, as a shell splits them.

    Args:
      command: a simple one.
      assignments: `NAME='...'` lines before it.
    """
    variables, text = {}, command.text
    while found := re.match(r"([A-Z_]+)=(\S*) ", text):
        variables[found[1]] = found[2]
        text = text[found.end() :]
    script = "\n".join([*assignments, f"printf '%s\\0' {text}"])
    done = subprocess.run(["bash", "-euc", script], capture_output=True, check=True)
    return variables, done.stdout.decode().split("\0")[:-1]
