package program

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const maxInput = 1 << 30

var endings = map[string]bool{
	".avif": true, ".bmp": true, ".gif": true, ".heic": true, ".jfif": true, ".jpe": true, ".jpeg": true,
	".jpg": true, ".png": true, ".tfh": true, ".tif": true, ".tiff": true, ".webp": true,
}

// checkOutput refuses an output before any work is done for it.
func checkOutput(in, out, wanted string, overwrite, forceName bool) error {
	ending := strings.ToLower(filepath.Ext(out))
	if ending != wanted && endings[ending] && !forceName {
		return fmt.Errorf("%s: expected a name that ends in %s, which is what is written; "+
			"--force_name takes this one", out, wanted)
	}
	there, err := os.Stat(out)
	if err != nil {
		if _, err := os.Lstat(out); err == nil {
			return fmt.Errorf("%s: is a link to nothing; name another output", out)
		}
		folder := filepath.Dir(out)
		if found, err := os.Stat(folder); err != nil || !found.IsDir() {
			return fmt.Errorf("%s: the folder %s is not there; make it first", out, folder)
		}
		return nil
	}
	if there.IsDir() {
		return fmt.Errorf("%s: expected the name of a file, received a folder", out)
	}
	if source, err := os.Stat(in); err == nil && os.SameFile(source, there) {
		return fmt.Errorf("%s: is the input itself; name another output", out)
	}
	if !overwrite && there.Mode().IsRegular() {
		return fmt.Errorf("%s: is there already; --overwrite replaces it", out)
	}
	return nil
}

// read returns a whole file, or what comes out of a pipe.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: can't be read (%v)", path, reason(err))
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("%s: can't be read (%v)", path, reason(err))
	}
	if len(data) > maxInput {
		return nil, fmt.Errorf("%s: expected at most %d bytes, received more", path, maxInput)
	}
	return data, nil
}

// write puts a file there whole or not at all; to pipes and devices it writes directly.
func write(path string, data []byte, overwrite bool) error {
	if err := writeWhole(path, data, overwrite); err != nil {
		return fmt.Errorf("%s: can't be written (%v)", path, reason(err))
	}
	return nil
}

func writeWhole(path string, data []byte, overwrite bool) error {
	// What a symbolic link points to is replaced, not the link.
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		target = path
	}
	if there, err := os.Stat(target); err == nil && !there.Mode().IsRegular() {
		file, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = file.Write(data)
		if closing := file.Close(); err == nil {
			err = closing
		}
		return err
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(target), fmt.Sprintf(".%x.tmp", random))
	// Not os.CreateTemp: this way the permissions are what the user's umask says.
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if !overwrite {
		// A link is not made where another file has got the name meanwhile; some file systems have none.
		if err = os.Link(temporary, target); err == nil || errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return os.Rename(temporary, target)
}
