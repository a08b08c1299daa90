// Package program is what tfh-compress and tfh-decompress share.
package program

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"tfhific/clients/go/tfh"
)

// Run reads a file, has work turn it into another, and writes that; it returns the exit code.
func Run(work func(model *tfh.Model, data []byte) ([]byte, error)) int {
	// TensorFlow's notices are not the user's business. It reads this variable while it is loaded, and
	// so before this line: the program starts once more.
	if _, set := os.LookupEnv("TF_CPP_MIN_LOG_LEVEL"); !set {
		if self, err := os.Executable(); err == nil {
			_ = syscall.Exec(self, os.Args, append(os.Environ(), "TF_CPP_MIN_LOG_LEVEL=3"))
		}
	}
	folder := flag.String("model", os.Getenv("TFH_MODEL"),
		"folder that bin/export.py wrote; default: the variable TFH_MODEL")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: %s [--model=DIR] IN OUT\n", os.Args[0])
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 || *folder == "" {
		flag.Usage()
		return 2
	}
	if err := run(*folder, flag.Arg(0), flag.Arg(1), work); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

func run(folder, in, out string, work func(*tfh.Model, []byte) ([]byte, error)) error {
	data, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	model, err := tfh.Open(folder)
	if err != nil {
		return err
	}
	defer model.Close()
	result, err := work(model, data)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return write(out, result)
}

// write puts a file there whole or not at all.
func write(path string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".tfh-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err = temporary.Write(data); err == nil {
		err = temporary.Sync()
	}
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Chmod(temporary.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	return err
}
