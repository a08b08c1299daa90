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
	"sync"
	"unsafe"
)

// ErrClosed is what calls of a closed model return.
var ErrClosed = errors.New("the model is closed")

// Model is a loaded SavedModel. All its methods, Close among them, may be called from several
// goroutines at once. It is not to be copied.
type Model struct {
	// Held for reading by calls, and for writing by Close, which so waits for them.
	lock  sync.RWMutex
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
	opened := &Model{model: model}
	runtime.SetFinalizer(opened, (*Model).Close)
	return opened, nil
}

// Close frees the model once the calls that run have come to their end; later ones return ErrClosed.
// It may be called more than once.
func (m *Model) Close() {
	m.lock.Lock()
	defer m.lock.Unlock()
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
	m.lock.RLock()
	defer m.lock.RUnlock()
	if m.model == nil {
		return nil, ErrClosed
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
	if code != 0 {
		return nil, errors.New(C.GoString(&message.text[0]))
	}
	defer C.free(unsafe.Pointer(result))
	// Not C.GoBytes: its length is a C int.
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(result)), int(size))...), nil
}
