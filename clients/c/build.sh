#!/usr/bin/env bash
# Builds tfh-compress and tfh-decompress: build.sh [FOLDER]. PYTHON names a Python with TensorFlow.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../tensorflow_library.sh"
out=${1:-$here/build}
mkdir -p "$out"
# TensorFlow's library has so many symbols that GNU's other linker takes four times as long.
linker=()
if command -v ld.gold >/dev/null; then linker=(-fuse-ld=gold); fi
for program in compress decompress; do
  "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -I"$tensorflow/include" "${linker[@]}" -o "$out/tfh-$program" \
    "$here/tfh.c" "$here/tfh_files.c" "$here/tfh_main.c" "$here/tfh_$program.c" \
    -L"$tensorflow" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 \
    -Wl,-rpath,"$tensorflow"
done
echo "$out/tfh-compress $out/tfh-decompress"
