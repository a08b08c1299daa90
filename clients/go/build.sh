#!/usr/bin/env bash
# Builds tfh-compress and tfh-decompress: build.sh [FOLDER]. PYTHON names a Python with TensorFlow.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/environment.sh"
out=${1:-$here/build}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"
go build -o "$out/" ./cmd/tfh-compress ./cmd/tfh-decompress
echo "$out/tfh-compress $out/tfh-decompress"
