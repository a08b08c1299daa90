#!/usr/bin/env bash
# Builds tfh-compress and tfh-decompress: build.sh [FOLDER]. PYTHON names a Python with TensorFlow.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../tensorflow_library.sh"
out=${1:-$here/build}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"
export CGO_ENABLED=1 GOFLAGS=-mod=mod GOPROXY=off
export CGO_CFLAGS="-std=gnu11 -O2 -I$tensorflow/include"
export CGO_LDFLAGS="-L$tensorflow -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -Wl,-rpath,$tensorflow"
# Go would not notice another library under the same flags.
go build -o "$out/" ./cmd/tfh-compress ./cmd/tfh-decompress
echo "$out/tfh-compress $out/tfh-decompress"
