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

/* Frees a model. No call of it may be running, in any thread. */
void tfh_close(tfh_model* model);

/* Calls a signature on one element. Several threads may do so at once.

   signature: "compress", "compress_at" or "decompress".
   data, size: an encoded image, or the bytes of a .tfh file.
   quality: for "compress_at", 1 to 8; otherwise not looked at.
   result, result_size: the bytes that came back, a .tfh or PNG file; free() them.

   Returns 0, or -1 and says why in *error; then there is no result. */
int tfh_call(tfh_model* model, const char* signature, const uint8_t* data, size_t size,
             float quality, uint8_t** result, size_t* result_size, tfh_error* error);

/* Reads a whole file, or what comes out of a pipe; it is to be free()d. Returns 0 or -1. */
int tfh_read_file(const char* path, uint8_t** data, size_t* size, tfh_error* error);

/* Whether an output may be written: it is not the input under any name, lies in a folder, has no name
   that means another kind of file than one ending in `wanted` (unless force_name), and is not there
   already (unless overwrite). Returns 0, or -1 and says in *error why not. */
int tfh_check_output(const char* input, const char* output, const char* wanted, int overwrite,
                     int force_name, tfh_error* error);

/* Writes a file, whole or not at all; one that is there is replaced only if overwrite is not 0. Pipes
   and devices are written to directly. Returns 0 or -1. */
int tfh_write_file(const char* path, const uint8_t* data, size_t size, int overwrite,
                   tfh_error* error);

/* The two programs: PROGRAM [--model=DIR] [--quality=Q] [--overwrite] [--force_name] [--timing] IN OUT.
   Returns an exit code: 0, 1 for what went wrong, 2 for a wrong command line. */
int tfh_main(int argc, char** argv, int compress);

#ifdef __cplusplus
}
#endif

#endif
