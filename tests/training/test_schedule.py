"""Learning rates and the end of a run."""

from __future__ import annotations

import pytest

from tfhific.training.schedule import Budget, CosineSchedule


def test_rate_warms_up_linearly_and_decays_to_zero():
    schedule = CosineSchedule(peak=1e-3, warmup_steps=100)
    assert schedule(0, 0.0) == pytest.approx(1e-5)
    assert schedule(49, 0.0) == pytest.approx(5e-4)
    assert schedule(99, 0.0) == pytest.approx(1e-3)
    assert schedule(5000, 0.5) == pytest.approx(5e-4)
    assert schedule(9999, 1.0) == pytest.approx(0.0, abs=1e-12)
    rates = [schedule(1000, progress / 50) for progress in range(51)]
    assert rates == sorted(rates, reverse=True)


def test_rate_beyond_the_end_stays_at_zero():
    assert CosineSchedule()(10**6, 1.5) == pytest.approx(0.0, abs=1e-12)


def test_no_warm_up_begins_at_the_peak():
    assert CosineSchedule(peak=1e-3, warmup_steps=0)(0, 0.0) == 1e-3


def test_budget_ends_at_whichever_comes_first():
    assert Budget(steps=200).progress(50, 1e9) == 0.25
    assert Budget(minutes=10).progress(10**9, 150.0) == 0.25
    both = Budget(steps=200, minutes=10)
    assert both.progress(50, 300.0) == 0.5
    assert both.progress(150, 300.0) == 0.75
    assert both.progress(500, 0.0) == 1.0


def test_budget_needs_an_end():
    for steps, minutes in [(0, 0.0), (-1, 0.0), (0, -2.0)]:
        with pytest.raises(ValueError, match="positive number of steps or minutes"):
            Budget(steps=steps, minutes=minutes)
