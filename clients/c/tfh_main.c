#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tfh.h"

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int usage(const char* program, int compress) {
  fprintf(stderr,
          "usage: %s [--model=DIR] %s[--overwrite] [--force_name] [--timing] IN OUT\n"
          "DIR is a folder that bin/export.py wrote; default: the variable TFH_MODEL. An output that is\n"
          "there is kept unless --overwrite is given; one whose ending means another kind of file is\n"
          "refused unless --force_name is.\n",
          program, compress ? "[--quality=1..8] " : "");
  return 2;
}

int tfh_main(int argc, char** argv, int compress) {
  /* TensorFlow's notices are not the user's business. It reads this variable while it is loaded, and
     so before this line: the program starts once more. */
  if (!getenv("TF_CPP_MIN_LOG_LEVEL") && setenv("TF_CPP_MIN_LOG_LEVEL", "3", 1) == 0) {
    execv("/proc/self/exe", argv);
  }
  const char *folder = getenv("TFH_MODEL"), *quality = NULL, *paths[2] = {NULL, NULL};
  int timing = 0, overwrite = 0, force_name = 0, count = 0;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--model=", 8) == 0) {
      folder = argv[i] + 8;
    } else if (compress && strncmp(argv[i], "--quality=", 10) == 0) {
      quality = argv[i] + 10;
    } else if (strcmp(argv[i], "--timing") == 0) {
      timing = 1;
    } else if (strcmp(argv[i], "--overwrite") == 0) {
      overwrite = 1;
    } else if (strcmp(argv[i], "--force_name") == 0) {
      force_name = 1;
    } else if (strncmp(argv[i], "--", 2) == 0 || count == 2) {
      return usage(argv[0], compress);
    } else {
      paths[count++] = argv[i];
    }
  }
  if (count < 2 || !folder) return usage(argv[0], compress);
  char* end = NULL;
  float value = quality ? strtof(quality, &end) : 0.0f;
  if (quality && (*quality == '\0' || *end != '\0' || !isfinite(value))) {
    fprintf(stderr, "error: --quality: expected a number from 1 to 8, received %s\n", quality);
    return 2;
  }

  tfh_error error;
  uint8_t *data = NULL, *result = NULL;
  size_t size, result_size;
  int code = 1;
  const char* wanted = compress ? ".tfh" : ".png";
  if (tfh_check_output(paths[0], paths[1], wanted, overwrite, force_name, &error) ||
      tfh_read_file(paths[0], &data, &size, &error)) {
    fprintf(stderr, "error: %s\n", error.text);
    return 1;
  }
  double begin = now();
  tfh_model* model = tfh_open(folder, &error);
  double loaded = now();
  const char* signature = compress ? (quality ? "compress_at" : "compress") : "decompress";
  if (!model) {
    fprintf(stderr, "error: %s\n", error.text);
  } else if (tfh_call(model, signature, data, size, value, &result, &result_size, &error)) {
    fprintf(stderr, "error: %s: %s\n", paths[0], error.text);
  } else if (tfh_write_file(paths[1], result, result_size, overwrite, &error)) {
    fprintf(stderr, "error: %s\n", error.text);
  } else {
    code = 0;
  }
  if (!code && timing) {
    double first = now(), best = 1e9;
    for (int i = 0; i < 9; i++) {
      uint8_t* again = NULL;
      double start = now();
      if (tfh_call(model, signature, data, size, value, &again, &result_size, &error)) break;
      if (now() - start < best) best = now() - start;
      free(again);
    }
    fprintf(stderr, "load %.3f s, first call %.3f s, best of 9 more %.3f s\n", loaded - begin,
            first - loaded, best);
  }
  free(result);
  free(data);
  tfh_close(model);
  return code;
}
