#include "tfh.h"

int main(int argc, char** argv) { return tfh_main(argc, argv, 0); }
