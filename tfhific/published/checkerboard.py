"""Names of the networks that give means and steps in the two halves of a checkerboard.

What they compute together is in `tfhific.runtimes.checkerboard`.
"""

from __future__ import annotations

FEATURES, FIRST, NEAR, SECOND = NETWORKS = (
    "context_features",
    "context_first",
    "context_near",
    "context_second",
)
"""Hyperlatents to features; features to mean and step of the first half; the decoded first half to
features; the sum of both to mean and step of the second half."""
