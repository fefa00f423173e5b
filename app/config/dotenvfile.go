package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

const dotenvLimit = 1 << 20

// readDotenv reads a file of the working directory. A missing file says
// nothing; one that cannot be read is a problem.
func readDotenv(dir, file string) dotenv {
	data, _, err := readRegular(filepath.Join(dir, file), dotenvLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return dotenv{}
	}
	if err != nil {
		return dotenv{problems: []Problem{unreadable(file, err)}}
	}
	return parseDotenv(file, data)
}

// readRegular refuses everything but a regular file of bounded size, and never
// waits for the writer of a named pipe.
func readRegular(path string, limit int64) ([]byte, fs.FileMode, error) {
	if err := regular(os.Stat(path)); err != nil {
		return nil, 0, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // a file of the configuration
	if err != nil {
		return nil, 0, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err := regular(info, err); err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("larger than " + bytesText(limit))
	}
	return data, info.Mode(), err
}

func regular(info fs.FileInfo, err error) error {
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("a directory")
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	}
	return nil
}

func unreadable(file string, err error) Problem {
	return Problem{
		Variable: file,
		Origin:   Origin{Kind: FromFile, File: file},
		What:     "cannot be read: " + causeOf(err),
		Expected: "a readable text file of at most " + strconv.Itoa(dotenvLimit>>20) + "MiB, or none",
	}
}

// causeOf is why a file cannot be read, without its path.
func causeOf(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}
