#!/usr/bin/env python3
"""Starts `tfhific/commands/bulk.py` from a checkout."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tfhific.commands.bulk import run

if __name__ == "__main__":
    run()
