"""--help lists every flag, and flags that name files know the home folder."""

from __future__ import annotations

import importlib
import pathlib
import re

import pytest
from absl import flags

from tfhific.commands import launcher, paths
from tfhific.commands.table import COMMANDS

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(params=sorted(command.script for command in COMMANDS.values()))
def script(request):
    """A command's module and its flags by name, defined as in a process of its own."""
    module = importlib.import_module(f"tfhific.commands.{request.param}")
    before = set(flags.FLAGS)
    module.define_flags()
    own = [name for name in flags.FLAGS if name not in before]
    yield module, {name: flags.FLAGS[name] for name in own if name == flags.FLAGS[name].name}
    for name in own:
        delattr(flags.FLAGS, name)


def test_help_lists_every_flag_with_what_it_does_and_its_default(script):
    module, own = script
    text = launcher.help_text(module.__doc__, list(own))
    assert module.__doc__.strip().splitlines()[0].split(":")[0] in text
    for name, flag in own.items():
        entry = re.search(
            rf"^  --(\[no\])?{name}(=\S+)?(?:, -\w \S+)?\n((?: {{6}}.*\n)+)", text, re.MULTILINE
        )
        assert entry, name
        said = " ".join(entry[3].split())
        assert re.sub(r"^<.*?>: |;\s+repeat this.*", "", " ".join(flag.help.split())) in said
        if flag.default not in (None, [], "", True, False):
            default = flag.default
            shown = ",".join(default) if isinstance(default, list) else str(default)
            assert said.endswith(f"Default: {shown}.")
        assert "efault" in said or flag.boolean
    assert max(map(len, text.splitlines()[len(module.__doc__.splitlines()) :])) <= 100


def test_every_command_is_installed_by_its_own_name_and_has_a_launcher(script):
    module, _ = script
    name = module.__name__.removeprefix("tfhific.commands.")
    command = name.replace("_", "-")
    assert f'tfhific-{command} = "{module.__name__}:run"' in (ROOT / "pyproject.toml").read_text()
    assert f"from {module.__name__} import run" in (ROOT / "bin" / f"{name}.py").read_text()
    assert f'"{name}",' in (ROOT / "BUILD").read_text()


def test_every_launcher_is_that_of_a_command():
    launchers = {path.stem for path in (ROOT / "bin").glob("*.py")}
    assert launchers == {command.script for command in COMMANDS.values()}


@pytest.mark.parametrize("flag", ["--help", "-h", "-?", "--helpfull"])
def test_help_of_an_installed_command_names_it_and_exits_with_0(flag, run_python):
    code = "import sys; from tfhific.commands import compress; "
    code += "sys.argv[0] = 'tfhific-compress'; compress.run()"
    done = run_python("-c", code, "a.png", flag)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert "tfhific-compress IN [OUT]" in text
    for name in ("overwrite", "recursive", "json", "precision", "tile", "max_pixels"):
        assert re.search(rf"^  --(\[no\])?{name}\b", text, re.MULTILINE)


def test_percent_signs_of_a_description_stay_and_help_after_two_dashes_is_a_name(run_python):
    done = run_python(ROOT / "bin/bench.py", "--help")
    assert done.returncode == 0
    assert b"takes more than 1 % and 64 bytes" in done.stdout
    done = run_python(ROOT / "bin/info.py", "--", "--help")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: --help: can't be read")


def test_unknown_flags_and_bad_values_are_one_line(run_python):
    for flag in ("--qualty=3", "--quality=high"):
        done = run_python(ROOT / "bin/compress.py", "a.png", flag)
        assert done.returncode == 1
        assert done.stdout == b""
        assert re.fullmatch(rb"error: .*See --help\.\n", done.stderr), done.stderr


_OF_PATHS = re.compile(r"(Name or )?(File|Folder|Run|Label map|PNG|LPIPS weights|Network)\b", re.I)


def test_flags_that_name_files_or_folders_expand_the_home_folder(script):
    _, own = script
    for name, flag in own.items():
        if flag.flag_type() == "string" and _OF_PATHS.match(flag.help):
            pytest.fail(f"--{name} takes a path: define it with paths.define_path")


def test_home_is_expanded_at_the_beginning_of_a_path_and_of_each_model_of_a_label(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert paths.expanded("~/models/x") == "/home/me/models/x"
    assert paths.expanded("a~/b") == "a~/b"
    values = flags.FlagValues()
    monkeypatch.setattr(paths.flags, "FLAGS", values)
    parser = paths._CodecsParser()
    assert parser.parse("mini,~/a,both=~/b+~/c~d,x~y") == [
        "mini",
        "/home/me/a",
        "both=/home/me/b+/home/me/c~d",
        "x~y",
    ]
