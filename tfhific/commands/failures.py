"""What a command says about a failure that is no fault of its own: one line."""

from __future__ import annotations

import errno
import re
import sys

_ADVICE = {
    errno.ENOSPC: "make room on the disk, or name another place",
    errno.EDQUOT: "make room in your quota, or name another place",
    errno.EFBIG: "name a place that takes larger files",
    errno.EACCES: "name another place, or ask for the permission",
    errno.EPERM: "name another place, or ask for the permission",
    errno.EROFS: "name a place that can be written",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENOTDIR: "expected a folder",
    errno.EISDIR: "expected a file",
}

_OF_TENSORFLOW = ("tensorflow", "tensorflow_probability", "tf_keras", "keras")


def line_for(error: BaseException) -> str | None:
    """One line about an error of the user's or of the system, None for a fault in this program.

    Args:
      error: what was raised.
    """
    from tfhific.errors import TfhificError

    if isinstance(error, TfhificError):
        return str(error)
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, MemoryError):
        said = f" ({_one_line(error)})" if str(error) else ""
        return f"not enough memory{said}; try a smaller picture or batch."
    if isinstance(error, UnicodeError):
        return f"a name or text can't be used as it is spelled ({_one_line(error)}); rename it."
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in _OF_TENSORFLOW:
            return (
                f"the package {package} is needed for this and is not here; it comes with the "
                "extra `tensorflow`: in tfhific's folder, pip install '.[tensorflow]'"
            )
        if package and package not in ("bin", "tfhific", "tfc_port"):
            return f"the package {package} is needed for this and is not here: install it with pip."
        return None
    return _of_tensorflow(error)


def _of_the_system(error: OSError) -> str:
    if error.filename is None and "temporary directory" in str(error):
        return "no folder for temporary files can be written; name one: TMPDIR=FOLDER."
    place = "" if error.filename is None else f"{_name(error.filename)}: "
    advice = _ADVICE.get(error.errno or 0)
    return f"{place}{error.strerror or _one_line(error)}" + (f"; {advice}." if advice else ".")


def _name(path) -> str:
    return repr(path) if isinstance(path, (str, bytes)) else f"descriptor {path}"


def _of_tensorflow(error: BaseException) -> str | None:
    """TensorFlow's own errors for files, memory and the network."""
    tensorflow = sys.modules.get("tensorflow")
    errors = getattr(tensorflow, "errors", None)
    if errors is None or not isinstance(error, errors.OpError):
        return None
    if isinstance(error, (errors.InvalidArgumentError, errors.UnimplementedError)):
        return None
    # Of an error in a graph, the first lines say where; what was raised in Python says what.
    raised = re.findall(r"\b\w+(?:Error|Diverged): (.+)", error.message)
    inner = "Graph execution error" in error.message and raised
    said = _one_line(inner[-1] if inner else error.message)
    full = isinstance(error, errors.ResourceExhaustedError)
    return f"{said}" + ("; make room on the disk or in memory." if full else "")


def _one_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
