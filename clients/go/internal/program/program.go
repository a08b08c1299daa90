// Package program is what tfh-compress and tfh-decompress share.
package program

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"

	"tfhific/clients/go/tfh"
)

// Run reads a file, has work turn it into another, whose names end in wanted, and writes that; it
// returns the exit code: 0, 1 for what went wrong, 2 for a wrong command line.
func Run(wanted string, work func(model *tfh.Model, data []byte) ([]byte, error)) int {
	// TensorFlow's notices are not the user's business. It reads this variable while it is loaded, and
	// so before this line: the program starts once more.
	if _, set := os.LookupEnv("TF_CPP_MIN_LOG_LEVEL"); !set {
		if self, err := os.Executable(); err == nil {
			_ = syscall.Exec(self, os.Args, append(os.Environ(), "TF_CPP_MIN_LOG_LEVEL=3"))
		}
	}
	folder := flag.String("model", os.Getenv("TFH_MODEL"),
		"folder that bin/export.py wrote; default: the variable TFH_MODEL")
	overwrite := flag.Bool("overwrite", false, "replace OUT if it is there")
	forceName := flag.Bool("force_name", false, "take OUT even if its ending means another kind of file")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: %s [OPTIONS] IN OUT\n", os.Args[0])
		flag.PrintDefaults()
	}
	paths := parse()
	if len(paths) != 2 || *folder == "" {
		flag.Usage()
		return 2
	}
	in, out := paths[0], paths[1]
	err := checkOutput(in, out, wanted, *overwrite, *forceName)
	if err == nil {
		err = run(*folder, in, out, *overwrite, work)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the command line and returns what is no option; package flag itself would stop at the
// first of those.
func parse() []string {
	var paths []string
	for rest := os.Args[1:]; len(rest) > 0; {
		// Ends the program where something is wrong.
		_ = flag.CommandLine.Parse(rest)
		if rest = flag.Args(); len(rest) > 0 {
			paths = append(paths, rest[0])
			rest = rest[1:]
		}
	}
	return paths
}

func run(folder, in, out string, overwrite bool, work func(*tfh.Model, []byte) ([]byte, error)) error {
	data, err := read(in)
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
	return write(out, result, overwrite)
}

// reason is an error of the system without the path, which stands before it.
func reason(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
