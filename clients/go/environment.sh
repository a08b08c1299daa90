# What Go needs to compile and link against TensorFlow. Sourced by build.sh and test.sh.
source "$(dirname "${BASH_SOURCE[0]}")/../tensorflow_library.sh"
export CGO_ENABLED=1 GOFLAGS=-mod=mod GOPROXY=off
export CGO_CFLAGS="-std=gnu11 -O2 -I$tensorflow/include"
export CGO_LDFLAGS="-L$tensorflow -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -Wl,-rpath,$tensorflow"
