#!/usr/bin/env bash
# Runs the package's tests: TFH_MODEL=DIR TFH_FILE=FILE.tfh test.sh. DIR is a folder that bin/export.py
# wrote, the file one of its model. PYTHON names a Python with TensorFlow.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/environment.sh"
cd "$here"
exec go test -count=1 -timeout=30m ./...
