/* Calls the signatures of a tfhific SavedModel through TensorFlow's C API. */
#ifndef TFH_H_
#define TFH_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tfh_model tfh_model;

/* Where messages go: one line each, cut where it does not fit. */
typedef struct {
  char text[1024];
} tfh_error;

/* Loads a SavedModel: its folder, or the folder of its versions, of which the largest is taken.
   Returns NULL and says why in *error. */
tfh_model* tfh_open(const char* folder, tfh_error* error);

void tfh_close(tfh_model* model);

/* Calls a signature on one element.

   signature: "compress", "compress_at" or "decompress".
   data, size: an encoded image, or the bytes of a .tfh file.
   quality: for "compress_at", 1 to 8; otherwise not looked at.
   result, result_size: the bytes that came back; free() them.

   Returns 0, or -1 and says why in *error; then there is no result. */
int tfh_call(tfh_model* model, const char* signature, const uint8_t* data, size_t size,
             float quality, uint8_t** result, size_t* result_size, tfh_error* error);

/* Reads a whole file, which is to be free()d. Returns 0 or -1. */
int tfh_read_file(const char* path, uint8_t** data, size_t* size, tfh_error* error);

/* Writes a file, whole or not at all; replaces one that is there. Returns 0 or -1. */
int tfh_write_file(const char* path, const uint8_t* data, size_t size, tfh_error* error);

/* The two programs: PROGRAM [--model=DIR] [--quality=Q] [--timing] IN OUT. Returns an exit code. */
int tfh_main(int argc, char** argv, int compress);

#ifdef __cplusplus
}
#endif

#endif
