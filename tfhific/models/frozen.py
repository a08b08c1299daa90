"""What `--freeze` leaves to be trained."""

from __future__ import annotations

from collections.abc import Iterable

from tfhific.errors import TfhificError
from tfhific.models.options import TrainingOptions
from tfhific.models.system import TrainableSystem


def without_frozen(system: TrainableSystem, options: TrainingOptions) -> dict[str, list]:
    """A system's groups less what `--freeze` names.

    Raises:
      TfhificError: for a part that the system doesn't have, or when nothing is left to train.
    """
    parts = system.parts() if options.freeze else {}
    unknown = sorted(set(options.freeze) - set(parts))
    if unknown:
        raise TfhificError(
            f"`freeze`: expected parts among {', '.join(parts)}. Received: {', '.join(unknown)}."
        )
    frozen = _identities(v for name in options.freeze for v in parts[name])
    groups = {
        name: [v for v in variables if id(v) not in frozen]
        for name, variables in system.groups(options).items()
    }
    if not any(groups.values()):
        raise TfhificError("`freeze`: nothing is left to train.")
    return groups


def _identities(variables: Iterable) -> set[int]:
    return {id(variable) for variable in variables}
