"""A destination holds all of the data, or what it held before."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfhific.errors import OutputError
from tfhific.files import atomic
from tfhific.files.atomic import write_atomically


def refusal(destination, data=b"new", overwrite=False):
    with pytest.raises(OutputError) as caught:
        write_atomically(destination, data, overwrite)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("cannot write ")
    return message


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000], ids=len)
@pytest.mark.parametrize("overwrite", [False, True])
def test_file_holds_the_data_and_nothing_else_is_left(data, overwrite, tmp_path):
    write_atomically(tmp_path / "x", data, overwrite)
    assert (tmp_path / "x").read_bytes() == data
    assert os.listdir(tmp_path) == ["x"]


def test_relative_name_is_written_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"


def test_existing_file_is_replaced_only_when_allowed(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    assert "exists already" in refusal(path)
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("links", [True, False])
def test_one_of_many_writers_wins_and_the_others_are_told(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_links)

    def attempt(number):
        try:
            write_atomically(tmp_path / "x", bytes([number]) * 1000)
        except OutputError as error:
            return str(error)
        return number

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(32)))
    won = [result for result in results if isinstance(result, int)]
    assert len(won) == 1
    assert sum("exists already" in str(result) for result in results) == 31
    assert (tmp_path / "x").read_bytes() == bytes(won) * 1000
    assert os.listdir(tmp_path) == ["x"]


def no_links(*_, **_options):
    raise PermissionError(1, "Operation not permitted")


def test_name_taken_between_check_and_move_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "x"
    monkeypatch.setattr(atomic, "_kind", lambda _: None)
    path.write_bytes(b"old")
    assert "exists already" in refusal(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(mask, tmp_path):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "x", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "x").st_mode) == 0o666 & ~mask


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomically(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("overwrite", [False, True])
def test_directory_is_refused(overwrite, tmp_path):
    assert "received a directory" in refusal(tmp_path, overwrite=overwrite)


@pytest.mark.parametrize("name", ["missing/x", "file/x", "a\0b", "n" * 300])
def test_impossible_places_are_refused_and_leave_nothing(name, tmp_path):
    (tmp_path / "file").write_bytes(b"kept")
    path = os.path.join(str(tmp_path), name)
    assert repr(path) in refusal(path)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"kept"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no read-only system folder here")
def test_folder_that_takes_no_files_is_refused():
    assert "'/proc/x.png'" in refusal("/proc/x.png")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_full_device_is_told_and_stays_a_device():
    assert "No space left" in refusal("/dev/full", overwrite=True)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no null device here")
@pytest.mark.parametrize("overwrite", [False, True])
def test_null_device_is_written_to_and_not_replaced(overwrite):
    write_atomically("/dev/null", b"new", overwrite)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_at_any_step_leaves_the_old_file_alone(step, error, tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            write_atomically(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
        write_atomically(tmp_path / "x", bytes(range(100)))
    assert (tmp_path / "x").read_bytes() == bytes(range(100))


def test_dash_is_standard_output(capfdbinary):
    write_atomically("-", bytes(range(256)))
    assert capfdbinary.readouterr().out == bytes(range(256))


def test_dash_works_where_standard_output_is_replaced(capsysbinary):
    write_atomically("-", bytes(range(256)))
    assert capsysbinary.readouterr().out == bytes(range(256))


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
def test_closed_pipe_is_told_once_and_not_again_at_exit():
    program = (
        "import sys\n"
        "from tfhific.files.atomic import write_atomically\n"
        "from tfhific.errors import OutputError\n"
        "sys.stdin.read()\n"
        "try:\n"
        "    write_atomically('-', bytes(1 << 20))\n"
        "except OutputError as error:\n"
        "    print(error, file=sys.stderr)\n"
        "    sys.exit(1)\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    process.stdout.close()
    process.stdin.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 1
    assert told.count("\n") == 1
    assert told.startswith("cannot write standard output: Broken pipe")
