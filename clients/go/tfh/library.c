// cgo compiles the C files of a package's folder: this brings in the C client's.
#include "../../c/tfh.c"
