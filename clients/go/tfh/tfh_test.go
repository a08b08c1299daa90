package tfh

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"
)

// opened gives a model and the bytes of a .tfh file, from what test.sh is told.
func opened(t *testing.T) (*Model, []byte) {
	folder, path := os.Getenv("TFH_MODEL"), os.Getenv("TFH_FILE")
	if folder == "" || path == "" {
		t.Skip("needs TFH_MODEL and TFH_FILE")
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	model, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	return model, file
}

// One test, since loading a model takes seconds.
func TestZeroIsNoQualityAndCloseWaitsForCallsAndLaterOnesAreRefused(t *testing.T) {
	model, file := opened(t)
	expected, err := model.Decompress(file)
	if err != nil {
		t.Fatal(err)
	}
	if result, err := model.CompressAt(expected, 0); err == nil {
		t.Errorf("expected an error, received %d bytes", len(result))
	}
	var group sync.WaitGroup
	began := make(chan bool, 64)
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				began <- true
				result, err := model.Decompress(file)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil || !bytes.Equal(result, expected) {
					t.Errorf("expected the picture or ErrClosed, received %d bytes, %v", len(result), err)
					return
				}
			}
		}()
	}
	for i := 0; i < 8; i++ {
		<-began
	}
	go func() {
		for range began {
		}
	}()
	for i := 0; i < 3; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			model.Close()
		}()
	}
	group.Wait()
	close(began)
	if _, err := model.Decompress(file); !errors.Is(err, ErrClosed) {
		t.Errorf("expected ErrClosed, received %v", err)
	}
}
