#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tfh.h"

static const size_t most = (size_t)1 << 30;

static int fail(tfh_error* error, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof(error->text), format, arguments);
  va_end(arguments);
  return -1;
}

int tfh_read_file(const char* path, uint8_t** data, size_t* size, tfh_error* error) {
  FILE* file = fopen(path, "rb");
  if (!file) return fail(error, "%s: can't be read (%s)", path, strerror(errno));
  /* A pipe has no size to ask for. */
  size_t room = 1 << 16;
  struct stat found;
  if (fstat(fileno(file), &found) == 0 && S_ISREG(found.st_mode) && (size_t)found.st_size < most) {
    room = (size_t)found.st_size + 1;
  }
  uint8_t* held = malloc(room);
  size_t count = 0, more;
  while (held && (more = fread(held + count, 1, room - count, file)) > 0) {
    count += more;
    if (count < room) continue;
    if (count > most) break;
    uint8_t* larger = realloc(held, 2 * room);
    if (!larger) free(held);
    held = larger;
    room *= 2;
  }
  int failed = ferror(file), reason = errno;
  fclose(file);
  if (held && !failed && count <= most) {
    *data = held;
    *size = count;
    return 0;
  }
  free(held);
  if (!held) return fail(error, "%s: out of memory", path);
  if (failed) return fail(error, "%s: can't be read (%s)", path, strerror(reason));
  return fail(error, "%s: expected at most %zu bytes, received more", path, most);
}

static int means_another_kind(const char* path, const char* wanted) {
  static const char* const endings[] = {".avif", ".bmp", ".gif",  ".heic", ".jfif", ".jpe",  ".jpeg",
                                        ".jpg",  ".png", ".tfh", ".tif",  ".tiff", ".webp"};
  const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
  if (!dot || strcasecmp(dot, wanted) == 0) return 0;
  for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
    if (strcasecmp(dot, endings[i]) == 0) return 1;
  }
  return 0;
}

/* The folder of the file that a path names: "." where it has none. free() it. */
static char* folder_of(const char* path) {
  const char* slash = strrchr(path, '/');
  if (!slash) return strdup(".");
  return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* What is written to: what a symbolic link points to, if it is there. free() it. */
static char* target_of(const char* path) {
  char* target = realpath(path, NULL);
  return target ? target : strdup(path);
}

int tfh_check_output(const char* input, const char* output, const char* wanted, int overwrite,
                     int force_name, tfh_error* error) {
  if (!force_name && means_another_kind(output, wanted)) {
    return fail(error,
                "%s: expected a name that ends in %s, which is what is written; --force_name takes "
                "this one",
                output, wanted);
  }
  struct stat in, out;
  if (stat(output, &out) != 0) {
    if (lstat(output, &out) == 0) {
      return fail(error, "%s: is a link to nothing; name another output", output);
    }
    char* folder = folder_of(output);
    int there = folder && stat(folder, &out) == 0 && S_ISDIR(out.st_mode);
    if (!there) fail(error, "%s: the folder %s is not there; make it first", output, folder);
    free(folder);
    return there ? 0 : -1;
  }
  if (S_ISDIR(out.st_mode)) {
    return fail(error, "%s: expected the name of a file, received a folder", output);
  }
  if (stat(input, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
    return fail(error, "%s: is the input itself; name another output", output);
  }
  if (!overwrite && S_ISREG(out.st_mode)) {
    return fail(error, "%s: is there already; --overwrite replaces it", output);
  }
  return 0;
}

/* Returns 0, or -1 with errno set. */
static int write_all(int file, const uint8_t* data, size_t size) {
  while (size > 0) {
    ssize_t count = write(file, data, size < INT_MAX ? size : INT_MAX);
    if (count < 0 && errno != EINTR) return -1;
    if (count > 0) {
      data += count;
      size -= (size_t)count;
    }
  }
  return 0;
}

/* Gives a file its name. Where none may be replaced a link is made, which fails if one is there; some
   file systems have no links. */
static int move(const char* temporary, const char* target, int overwrite) {
  if (!overwrite) {
    if (link(temporary, target) == 0) {
      unlink(temporary);
      return 0;
    }
    if (errno == EEXIST) return -1;
  }
  return rename(temporary, target);
}

int tfh_write_file(const char* path, const uint8_t* data, size_t size, int overwrite,
                   tfh_error* error) {
  char *target = target_of(path), *folder = target ? folder_of(target) : NULL, *temporary = NULL;
  struct stat found;
  int written = 0, file = -1;
  uint64_t random = 0;
  /* Not the process's number: in a container that is always the same. */
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) random = (uint64_t)getpid();
  errno = ENOMEM;
  if (folder && stat(target, &found) == 0 && !S_ISREG(found.st_mode)) {
    file = open(target, O_WRONLY | O_CLOEXEC);
    written = file >= 0 && write_all(file, data, size) == 0;
    if (file >= 0) written = close(file) == 0 && written;
  } else if (folder && asprintf(&temporary, "%s/.%016" PRIx64 ".tmp", folder, random) >= 0) {
    file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    written = file >= 0 && write_all(file, data, size) == 0 && fsync(file) == 0;
    int reason = errno;
    if (file >= 0 && close(file) != 0 && written) {
      reason = errno;
      written = 0;
    }
    errno = reason;
    if (written) written = move(temporary, target, overwrite) == 0;
    reason = errno;
    if (file >= 0 && !written) unlink(temporary);
    errno = reason;
  }
  if (!written) fail(error, "%s: can't be written (%s)", path, strerror(errno));
  free(temporary);
  free(folder);
  free(target);
  return written ? 0 : -1;
}
