#!/usr/bin/env bash
# Installs tfjs-node into FOLDER (default: beside this file) and compiles its binding against the
# library and headers of TensorFlow's Python package: build.sh [FOLDER]. PYTHON names a Python with
# TensorFlow. Needs node and its headers, npm, and a C++ compiler.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../tensorflow_library.sh"
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ "$out" = "$here" ] || cp "$here"/package.json "$here"/*.js "$out"
cd "$out"
# Its own install script would fetch an older TensorFlow.
npm install --ignore-scripts --no-audit --no-fund --no-package-lock >/dev/null
cd node_modules/@tensorflow/tfjs-node
mkdir -p deps/lib
ln -sfn "$tensorflow/include" deps/include
for name in libtensorflow_cc.so.2 libtensorflow_framework.so.2; do
  ln -sfn "$tensorflow/$name" "deps/lib/$name"
done
ln -sfn libtensorflow_cc.so.2 deps/lib/libtensorflow.so
ln -sfn libtensorflow_framework.so.2 deps/lib/libtensorflow_framework.so
# Node's own headers where they are installed; otherwise node-gyp fetches them.
headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
[ -e "$headers/include/node/node_api.h" ] && headers="--nodedir=$headers" || headers=
node "$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js" rebuild $headers \
  --python="$PYTHON" --module_name=tfjs_binding --module_path="$PWD/lib/napi-v8" \
  --napi_build_version=8 >build.log 2>&1 || {
  tail -20 build.log >&2
  exit 1
}
echo "$out/tfh-compress.js $out/tfh-decompress.js"
