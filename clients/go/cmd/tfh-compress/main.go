// tfh-compress compresses an image: tfh-compress [--model=DIR] [--quality=Q] IN OUT.
package main

import (
	"flag"
	"os"

	"tfhific/clients/go/internal/program"
	"tfhific/clients/go/tfh"
)

func main() {
	quality := flag.Float64("quality", 0, "1 to 8; default: the model's")
	os.Exit(program.Run(func(model *tfh.Model, data []byte) ([]byte, error) {
		if *quality == 0 {
			return model.Compress(data)
		}
		return model.CompressAt(data, float32(*quality))
	}))
}
