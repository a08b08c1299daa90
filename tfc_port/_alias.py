"""The port under the name of tensorflow-compression, for programs that import that.

`install` puts a finder in front of Python's: `tensorflow_compression`, its packages and the modules
of its `python` package become modules of this port's objects.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types
from collections.abc import Sequence

from tfc_port import _names

NAME = "tensorflow_compression"
MARK = "__tfc_port_alias__"
"""An attribute of the modules made here, by which they are told from TFC's own."""

_PACKAGES = ("datasets", "distributions", "entropy_models", "layers", "ops")
_OPS = " ".join(_names.OPS)

# TFC's modules, and what programs import from them.
_MODULES = {
    "datasets.y4m_dataset": "Y4MDataset",
    "distributions.deep_factorized": "DeepFactorized NoisyDeepFactorized",
    "distributions.helpers": "estimate_tails lower_tail quantization_offset upper_tail",
    "distributions.round_adapters": (
        "MonotonicAdapter NoisyRoundAdapter NoisyRoundedDeepFactorized NoisyRoundedNormal"
        " NoisySoftRoundAdapter NoisySoftRoundedDeepFactorized NoisySoftRoundedNormal"
        " RoundAdapter SoftRoundAdapter"
    ),
    "distributions.uniform_noise": (
        "NoisyLaplace NoisyLogistic NoisyLogisticMixture NoisyMixtureSameFamily NoisyNormal"
        " NoisyNormalMixture UniformNoiseAdapter"
    ),
    "entropy_models.continuous_base": "ContinuousEntropyModelBase",
    "entropy_models.continuous_batched": "ContinuousBatchedEntropyModel",
    "entropy_models.continuous_indexed": (
        "ContinuousIndexedEntropyModel LocationScaleIndexedEntropyModel"
    ),
    "entropy_models.laplace": "LaplaceEntropyModel",
    "entropy_models.power_law": "PowerLawEntropyModel",
    "entropy_models.universal": "UniversalBatchedEntropyModel UniversalIndexedEntropyModel",
    "layers.gdn": "GDN",
    "layers.initializers": "IdentityInitializer",
    "layers.parameters": "GDNParameter Parameter RDFTParameter",
    "layers.signal_conv": "SignalConv1D SignalConv2D SignalConv3D",
    "layers.soft_round": "SoftRound SoftRoundConditionalMean",
    "ops.gen_ops": _OPS,
    "ops.math_ops": "lower_bound perturb_and_apply upper_bound",
    "ops.padding_ops": "same_padding_for_kernel",
    "ops.quantization_ops": "stochastic_round",
    "ops.range_coding_ops": _OPS,
    "ops.round_ops": ("round_st soft_round soft_round_conditional_mean soft_round_inverse"),
    # The name of `round_ops` in TFC 2.0.
    "ops.soft_round_ops": "soft_round soft_round_conditional_mean soft_round_inverse",
    "ops.run_length_ops": (
        "run_length_decode run_length_encode run_length_gamma_decode run_length_gamma_encode"
    ),
    "util.packed_tensors": "PackedTensors",
}
# Of version 1.
_MODULES_1 = {
    "layers.entropy_models": (
        "EntropyBottleneck EntropyModel GaussianConditional LaplacianConditional"
        " LogisticConditional SymmetricConditional"
    ),
    "layers.parameterizers": (
        "NonnegativeParameterizer Parameterizer RDFTParameterizer StaticParameterizer"
    ),
    "ops.spectral_ops": "irdft_matrix",
}


def install(api: int = 2) -> None:
    """Lets `import tensorflow_compression` find the port, in this process, from now on.

    Args:
      api: 1 for TFC 1.3's names and classes, 2 for those of 2.14 (and the names that only 1.3 has).

    Raises:
      ImportError: if TFC itself, or the other version's names, are imported already.
    """
    finder = _Finder(api)
    present = sys.modules.get(NAME)
    if present is not None and getattr(present, MARK, None) != api:
        raise ImportError(
            f"{NAME} is imported already, and not as version {api} of this port: import the alias "
            f"before it."
        )
    # Read when TensorFlow is imported.
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)


def uninstall() -> None:
    """Takes back `install`: later imports find TFC itself, if it is there."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name in list(sys.modules):
        if name.split(".")[0] == NAME and hasattr(sys.modules[name], MARK):
            del sys.modules[name]


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and makes the modules of the alias."""

    def __init__(self, api: int) -> None:
        if api not in (1, 2):
            raise ValueError(f"`api` must be 1 or 2. Received: {api!r}.")
        self._api = api

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Finder) and other._api == self._api

    def __hash__(self) -> int:
        return hash(self._api)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname.split(".")[0] != NAME:
            return None
        inner = fullname[len(NAME) + 1 :]
        is_package = self._names(inner) is None
        if not is_package or self._is_package(inner):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=is_package)
        raise ModuleNotFoundError(
            f"No module named {fullname!r}: tfc_port, which stands in for {NAME}, has no such "
            f"module.",
            name=fullname,
        )

    def _is_package(self, inner: str) -> bool:
        return inner in ("", "python", "python.util", *_PACKAGES) or (
            inner.startswith("python.") and inner[7:] in _PACKAGES
        )

    def _names(self, inner: str) -> tuple[str, ...] | None:
        """What a module below `python` has; None for a package."""
        if not inner.startswith("python."):
            return None
        names = {**_MODULES, **_MODULES_1}.get(inner[7:])
        return None if names is None else tuple(names.split())

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        inner = spec.name[len(NAME) + 1 :]
        module = _Alias(spec.name, self._api, self._names(inner), inner)
        module.__doc__ = f"{spec.name}, as of tfc_port."
        setattr(module, MARK, self._api)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        del module


class _Alias(types.ModuleType):
    """A module whose attributes are the port's objects, imported when first used."""

    _api: int
    _names: tuple[str, ...] | None
    _packages: list[str]
    __all__: list[str]

    def __init__(self, name: str, api: int, names: tuple[str, ...] | None, inner: str) -> None:
        super().__init__(name)
        self.__dict__["_api"] = api
        self.__dict__["_names"] = names
        if names is None:
            # Packages hold what their modules do, and the root everything.
            packages = ["python"] if inner == "" else []
            packages += [*_PACKAGES, *(["util"] if inner == "python" else [])]
            self.__dict__["_packages"] = packages if inner in ("", "python") else []
            self.__dict__["__all__"] = sorted(_public(inner))
        else:
            self.__dict__["_packages"] = []
            self.__dict__["__all__"] = sorted(names)

    def __getattr__(self, name: str) -> object:
        if name in self._packages:
            return importlib.import_module(f"{self.__name__}.{name}")
        inner = f"{self.__name__.removeprefix(NAME).lstrip('.')}.{name}".removeprefix("python.")
        if self._names is None and inner in {**_MODULES, **_MODULES_1}:
            return importlib.import_module(f"{NAME}.python.{inner}")
        if name.startswith("__") or name not in self.__all__:
            raise AttributeError(
                f"module {self.__name__!r} (of tfc_port) has no attribute {name!r}"
            )
        return _resolve(name, self._api)

    def __dir__(self) -> list[str]:
        return sorted({*self.__all__, *self._packages, *self.__dict__})


def _public(inner: str) -> set[str]:
    package = inner.removeprefix("python.")
    if inner in ("", "python"):
        names = {*_names.ALL, *_names.V1}
    else:
        known = {**_MODULES, **_MODULES_1}
        names = {
            name
            for module, listed in known.items()
            if module.split(".")[0] == package
            for name in listed.split()
        }
    return names


def _resolve(name: str, api: int) -> object:
    if name == "ContinuousEntropyModelBase":
        return importlib.import_module("tfc_port.entropy_models.continuous_base").__dict__[name]
    if name in _names.V1 and (api == 1 or name not in _names.ALL):
        return getattr(importlib.import_module("tfc_port.v1"), name)
    return getattr(importlib.import_module("tfc_port"), name)
