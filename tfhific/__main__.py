"""`python -m tfhific`, which is the command `tfhific`."""

from __future__ import annotations

from tfhific.commands.main import run

if __name__ == "__main__":
    run()
