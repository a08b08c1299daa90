"""A folder job killed at any moment leaves whole files only, and the next run completes it."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tfhific.pictures.images import write_png


@pytest.mark.slow
def test_a_folder_job_killed_50_times_leaves_whole_files_and_is_completed(
    tmp_path, photo, tiny_codec, models_folder, run_script, clean_shell
):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(120):
        write_png(photo(64 + number % 7, 96, seed=number), source / f"{number:03}.png")
    script = pathlib.Path(__file__).parents[2] / "bin" / "compress.py"
    arguments = [sys.executable, script, source, target, "--model=tiny"]
    environment = clean_shell(TFHIFIC_MODELS=models_folder)
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(50):
        process = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        # The first line says that the loop over files is under way: kills fall into it.
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        names = sorted(os.listdir(target)) if target.exists() else []
        assert all(name.endswith(".tfh") for name in names), names
        assert len(names) >= seen, "a file that was there is lost"
        seen = len(names)
        for name in names[-3:]:
            tiny_codec.decompress((target / name).read_bytes())
    assert run_script("compress", source, target, "--model=tiny").returncode == 0
    for number in range(120):
        tiny_codec.decompress((target / f"{number:03}.tfh").read_bytes())
