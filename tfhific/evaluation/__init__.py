"""Compares codecs on pictures: real files, metrics, curves, and a page to look at.

From a folder of pictures to a table:

    evaluation = evaluate(data="kodak", codecs=["mini", "jpeg"], out="out/kodak", jobs=2)
    evaluation.curves(), evaluation.compare(anchor="jpeg")
    evaluation.save()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfhific.evaluation.run import Evaluation, EvaluationConfig, evaluate

__all__ = ["Evaluation", "EvaluationConfig", "evaluate"]


def __getattr__(name: str) -> Any:
    # Those who only measure a picture, as the command `compress` does, need not load all of it.
    if name in __all__:
        from tfhific.evaluation import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
