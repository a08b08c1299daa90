// tfh-compress compresses an image: tfh-compress [--model=DIR] [--quality=Q] IN OUT.
package main

import (
	"errors"
	"flag"
	"math"
	"os"
	"strconv"

	"tfhific/clients/go/internal/program"
	"tfhific/clients/go/tfh"
)

func main() {
	// Not flag.Float64: no number can stand for "not given".
	var quality *float32
	flag.Func("quality", "1 to 8; default: the model's", func(text string) error {
		value, err := strconv.ParseFloat(text, 32)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return errors.New("expected a number from 1 to 8")
		}
		given := float32(value)
		quality = &given
		return nil
	})
	os.Exit(program.Run(".tfh", func(model *tfh.Model, data []byte) ([]byte, error) {
		if quality == nil {
			return model.Compress(data)
		}
		return model.CompressAt(data, *quality)
	}))
}
