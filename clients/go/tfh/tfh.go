// Package tfh calls the signatures of a tfhific SavedModel through TensorFlow's C API.
//
// build.sh sets CGO_CFLAGS and CGO_LDFLAGS so that TensorFlow's headers and library are found.
package tfh

/*
#include <stdlib.h>
#include "../../c/tfh.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"
)

// Model is a loaded SavedModel. Its methods may be called from several goroutines at once.
type Model struct {
	model *C.tfh_model
}

// Open loads a SavedModel: its folder, or the folder of its versions, of which the largest is taken.
func Open(folder string) (*Model, error) {
	path := C.CString(folder)
	defer C.free(unsafe.Pointer(path))
	var message C.tfh_error
	model := C.tfh_open(path, &message)
	if model == nil {
		return nil, errors.New(C.GoString(&message.text[0]))
	}
	opened := &Model{model}
	runtime.SetFinalizer(opened, (*Model).Close)
	return opened, nil
}

// Close frees the model. It may be called more than once.
func (m *Model) Close() {
	C.tfh_close(m.model)
	m.model = nil
	runtime.SetFinalizer(m, nil)
}

// Compress turns an encoded image into the bytes of a .tfh file, at the model's default quality.
func (m *Model) Compress(image []byte) ([]byte, error) {
	return m.call("compress", image, 0)
}

// CompressAt does so at a quality from 1 to 8.
func (m *Model) CompressAt(image []byte, quality float32) ([]byte, error) {
	return m.call("compress_at", image, quality)
}

// Decompress turns the bytes of a .tfh file into a PNG file.
func (m *Model) Decompress(compressed []byte) ([]byte, error) {
	return m.call("decompress", compressed, 0)
}

func (m *Model) call(signature string, data []byte, quality float32) ([]byte, error) {
	if m.model == nil {
		return nil, errors.New("the model is closed")
	}
	name := C.CString(signature)
	defer C.free(unsafe.Pointer(name))
	var first *C.uint8_t
	if len(data) > 0 {
		first = (*C.uint8_t)(unsafe.Pointer(&data[0]))
	}
	var result *C.uint8_t
	var size C.size_t
	var message C.tfh_error
	code := C.tfh_call(m.model, name, first, C.size_t(len(data)), C.float(quality), &result, &size, &message)
	runtime.KeepAlive(m)
	if code != 0 {
		return nil, errors.New(C.GoString(&message.text[0]))
	}
	defer C.free(unsafe.Pointer(result))
	// Not C.GoBytes: its length is a C int.
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(result)), int(size))...), nil
}
