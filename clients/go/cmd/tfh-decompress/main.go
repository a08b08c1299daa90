// tfh-decompress decompresses a .tfh file to a PNG: tfh-decompress [--model=DIR] IN OUT.
package main

import (
	"os"

	"tfhific/clients/go/internal/program"
	"tfhific/clients/go/tfh"
)

func main() {
	os.Exit(program.Run(".png", (*tfh.Model).Decompress))
}
