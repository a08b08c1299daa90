"""How `bin/test` shares tests out to several processes."""

from __future__ import annotations

import pytest


def test_the_tests_of_a_file_are_shared_out_together(request):
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("needs several processes: one has all tests")
    # What pytest-xdist goes by.
    assert request.node.nodeid.endswith("@tests/test_sharing_out.py")
