#include "tfh.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

struct tfh_model {
  TF_Graph* graph;
  TF_Session* session;
  TF_Buffer* meta_graph;
};

static int fail(tfh_error* error, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof(error->text), format, arguments);
  va_end(arguments);
  return -1;
}

/* TensorFlow's messages may have many lines; the first says what happened. */
static int fail_with_status(tfh_error* error, const char* what, TF_Status* status) {
  fail(error, "%s: %s", what, TF_Message(status));
  error->text[strcspn(error->text, "\n")] = '\0';
  return -1;
}

/* --- The signatures, in the wire format of protocol buffers --------------------------------------

   A MetaGraphDef has in field 5 a map from a signature's name to a SignatureDef, which has in
   fields 1 and 2 maps from the names of its inputs and outputs to TensorInfo, whose field 1 is the
   tensor's name in the graph. A map is a repeated message with a key in field 1 and a value in 2. */

enum { SIGNATURES = 5, INPUTS = 1, OUTPUTS = 2, KEY = 1, VALUE = 2, TENSOR_NAME = 1 };

typedef struct {
  const uint8_t* data;
  size_t size;
} span;

static int read_varint(span* rest, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest->size == 0) return 0;
    uint8_t byte = *rest->data++;
    rest->size--;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return 1;
  }
  return 0;
}

/* Takes the next field; *content is empty unless it is one of bytes. Returns 0 at the end. */
static int next_field(span* rest, uint32_t* number, span* content) {
  uint64_t key, length = 0;
  if (!read_varint(rest, &key)) return 0;
  *number = (uint32_t)(key >> 3);
  content->data = rest->data;
  content->size = 0;
  switch (key & 7) {
    case 0:
      return read_varint(rest, &length);
    case 1:
      length = 8;
      break;
    case 2:
      if (!read_varint(rest, &length)) return 0;
      content->data = rest->data;
      content->size = (size_t)length;
      break;
    case 5:
      length = 4;
      break;
    default:
      return 0;
  }
  if (length > rest->size) return 0;
  rest->data += length;
  rest->size -= (size_t)length;
  return 1;
}

static int find_field(span message, uint32_t wanted, span* content) {
  uint32_t number;
  while (next_field(&message, &number, content)) {
    if (number == wanted) return 1;
  }
  return 0;
}

static int find_in_map(span message, uint32_t field, const char* key, span* value) {
  uint32_t number;
  span entry, name;
  while (next_field(&message, &number, &entry)) {
    if (number == field && find_field(entry, KEY, &name) && name.size == strlen(key) &&
        memcmp(name.data, key, name.size) == 0) {
      return find_field(entry, VALUE, value);
    }
  }
  return 0;
}

/* The tensor that a signature calls `name`. */
static int find_tensor(tfh_model* model, const char* signature, uint32_t direction,
                       const char* name, TF_Output* tensor, tfh_error* error) {
  span whole = {model->meta_graph->data, model->meta_graph->length}, definition, info, text;
  if (!find_in_map(whole, SIGNATURES, signature, &definition)) {
    return fail(error, "the model has no signature \"%s\"", signature);
  }
  if (!find_in_map(definition, direction, name, &info) || !find_field(info, TENSOR_NAME, &text)) {
    return fail(error, "the signature \"%s\" has no tensor \"%s\"", signature, name);
  }
  char full[512];
  if (text.size >= sizeof(full)) return fail(error, "a tensor's name is too long");
  memcpy(full, text.data, text.size);
  full[text.size] = '\0';
  char* colon = strrchr(full, ':');
  tensor->index = colon ? atoi(colon + 1) : 0;
  if (colon) *colon = '\0';
  tensor->oper = TF_GraphOperationByName(model->graph, full);
  return tensor->oper ? 0 : fail(error, "the graph has no operation \"%s\"", full);
}

/* --- The model ---------------------------------------------------------------------------------- */

static int is_file(const char* path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

/* The folder itself, or its version with the largest number. */
static int find_model(const char* folder, char* path, size_t size, tfh_error* error) {
  char file[4096];
  snprintf(file, sizeof(file), "%s/saved_model.pb", folder);
  if (is_file(file)) {
    snprintf(path, size, "%s", folder);
    return 0;
  }
  long long best = -1;
  DIR* listing = opendir(folder);
  for (struct dirent* entry; listing && (entry = readdir(listing));) {
    char* end;
    long long version = strtoll(entry->d_name, &end, 10);
    snprintf(file, sizeof(file), "%s/%s/saved_model.pb", folder, entry->d_name);
    if (*end == '\0' && version > best && is_file(file)) {
      best = version;
      snprintf(path, size, "%s/%s", folder, entry->d_name);
    }
  }
  if (listing) closedir(listing);
  if (best >= 0) return 0;
  return fail(error, "%s: expected a SavedModel, or a folder of numbered ones; bin/export.py makes it",
              folder);
}

/* A ConfigProto, graph_options { rewrite_options { ... } }: one round over the graph for two, without
   the passes for memory, dependencies, loops and shapes, and without the second optimiser. They take
   a third of the time from a start to the first picture, and pictures later take no less for them. */
static const char kLittleRewriting[] =
    "\x52\x0f\x52\x0d" /* fields 10, 10 */
    "\x20\x01"          /* memory_optimization: NO_MEM_OPT */
    "\x40\x02"          /* dependency_optimization: OFF */
    "\x48\x02"          /* loop_optimization: OFF */
    "\x60\x01"          /* meta_optimizer_iterations: ONE */
    "\x68\x02"          /* shape_optimization: OFF */
    "\x80\x02\x01";     /* disable_tfg_optimizer: true */

tfh_model* tfh_open(const char* folder, tfh_error* error) {
  char path[4096];
  if (find_model(folder, path, sizeof(path), error)) return NULL;
  tfh_model* model = calloc(1, sizeof(*model));
  if (!model) {
    fail(error, "out of memory");
    return NULL;
  }
  model->graph = TF_NewGraph();
  model->meta_graph = TF_NewBuffer();
  TF_Status* status = TF_NewStatus();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_SetConfig(options, kLittleRewriting, sizeof(kLittleRewriting) - 1, status);
  const char* tags[] = {"serve"};
  model->session = TF_LoadSessionFromSavedModel(options, NULL, path, tags, 1, model->graph,
                                                model->meta_graph, status);
  int loaded = TF_GetCode(status) == TF_OK;
  if (!loaded) fail_with_status(error, path, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  if (loaded) return model;
  tfh_close(model);
  return NULL;
}

void tfh_close(tfh_model* model) {
  if (!model) return;
  TF_Status* status = TF_NewStatus();
  if (model->session) TF_DeleteSession(model->session, status);
  TF_DeleteStatus(status);
  TF_DeleteGraph(model->graph);
  TF_DeleteBuffer(model->meta_graph);
  free(model);
}

static void free_string(void* data, size_t length, void* argument) {
  (void)length;
  (void)argument;
  TF_TString_Dealloc(data);
  free(data);
}

static void free_number(void* data, size_t length, void* argument) {
  (void)length;
  (void)argument;
  free(data);
}

static TF_Tensor* string_tensor(const uint8_t* data, size_t size) {
  const int64_t shape[] = {1};
  TF_TString* text = malloc(sizeof(*text));
  if (!text) return NULL;
  TF_TString_Init(text);
  TF_TString_Copy(text, (const char*)data, size);
  return TF_NewTensor(TF_STRING, shape, 1, text, sizeof(*text), free_string, NULL);
}

static TF_Tensor* number_tensor(float value) {
  const int64_t shape[] = {1};
  float* number = malloc(sizeof(*number));
  if (!number) return NULL;
  *number = value;
  return TF_NewTensor(TF_FLOAT, shape, 1, number, sizeof(*number), free_number, NULL);
}

/* The only string of a tensor of one; NULL where it is another tensor. */
static const char* string_of(const TF_Tensor* tensor, size_t* size) {
  if (TF_TensorType(tensor) != TF_STRING || TF_TensorElementCount(tensor) != 1) return NULL;
  const TF_TString* text = TF_TensorData(tensor);
  *size = TF_TString_GetSize(text);
  return TF_TString_GetDataPointer(text);
}

/* The bytes that a signature returned, if they are what they should be. */
static int take_result(int compress, const TF_Tensor* found, const TF_Tensor* message,
                       uint8_t** result, size_t* result_size, tfh_error* error) {
  size_t size, length;
  const char *bytes = string_of(found, &size), *text = string_of(message, &length);
  if (!bytes || !text) return fail(error, "expected one result; is this a tfhific model?");
  if (length > 0) {
    fail(error, "%.*s", (int)(length > 1000 ? 1000 : length), text);
    error->text[strcspn(error->text, "\n")] = '\0';
    return -1;
  }
  const char* begin = compress ? "TFH" : "\x89PNG";
  if (size < strlen(begin) || memcmp(bytes, begin, strlen(begin)) != 0) {
    return fail(error, "expected a %s file from the model, received %zu other bytes",
                compress ? ".tfh" : "PNG", size);
  }
  *result = malloc(size);
  if (!*result) return fail(error, "out of memory");
  memcpy(*result, bytes, size);
  *result_size = size;
  return 0;
}

int tfh_call(tfh_model* model, const char* signature, const uint8_t* data, size_t size,
             float quality, uint8_t** result, size_t* result_size, tfh_error* error) {
  int compress = strncmp(signature, "compress", 8) == 0;
  int with_quality = strcmp(signature, "compress_at") == 0;
  const char* input = compress ? "image_bytes" : "compressed_bytes";
  const char* output = compress ? "compressed_bytes" : "image_bytes";
  TF_Output inputs[2], outputs[2];
  if (find_tensor(model, signature, INPUTS, input, &inputs[0], error) ||
      (with_quality && find_tensor(model, signature, INPUTS, "quality", &inputs[1], error)) ||
      find_tensor(model, signature, OUTPUTS, output, &outputs[0], error) ||
      find_tensor(model, signature, OUTPUTS, "error", &outputs[1], error)) {
    return -1;
  }
  TF_Tensor* given[2] = {string_tensor(data, size), with_quality ? number_tensor(quality) : NULL};
  TF_Tensor* found[2] = {NULL, NULL};
  TF_Status* status = TF_NewStatus();
  int code = -1;
  if (!given[0] || (with_quality && !given[1])) {
    fail(error, "out of memory");
  } else {
    TF_SessionRun(model->session, NULL, inputs, given, 1 + with_quality, outputs, found, 2, NULL, 0,
                  NULL, status);
    if (TF_GetCode(status) != TF_OK) {
      fail_with_status(error, signature, status);
    } else {
      code = take_result(compress, found[0], found[1], result, result_size, error);
    }
  }
  for (int i = 0; i < 2; i++) {
    if (given[i]) TF_DeleteTensor(given[i]);
    if (found[i]) TF_DeleteTensor(found[i]);
  }
  TF_DeleteStatus(status);
  return code;
}
