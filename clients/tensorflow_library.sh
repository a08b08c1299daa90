# Finds the C library that TensorFlow's Python package carries. Sourced by the clients' build.sh.
# Sets $tensorflow, the package's folder, from $PYTHON, or else the environment that bin/test makes.
# It has include/, libtensorflow_cc.so.2 and libtensorflow_framework.so.2.

_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -z "${PYTHON:-}" ]; then
  PYTHON=$_root/.venv/bin/python
  [ -x "$PYTHON" ] || PYTHON=python3
fi
# Not imported: that would take seconds.
tensorflow=$("$PYTHON" -c "
import importlib.util, sys
found = importlib.util.find_spec('tensorflow')
sys.exit('no package tensorflow in ' + sys.executable) if found is None else print(
    found.submodule_search_locations[0])") || {
  echo "error: expected a Python with TensorFlow; name one: PYTHON=/path/to/python $0" >&2
  exit 1
}
for _file in libtensorflow_cc.so.2 libtensorflow_framework.so.2 include/tensorflow/c/c_api.h; do
  if [ ! -e "$tensorflow/$_file" ]; then
    echo "error: $tensorflow has no $_file; expected TensorFlow 2.14 or later for Linux" >&2
    exit 1
  fi
done
