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
	data, err := readRegular(filepath.Join(dir, file))
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
func readRegular(path string) ([]byte, error) {
	if err := regular(os.Stat(path)); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // one of two fixed names in the working directory
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if err := regular(file.Stat()); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, dotenvLimit+1))
	if err == nil && len(data) > dotenvLimit {
		err = errors.New("larger than " + bytesText(dotenvLimit))
	}
	return data, err
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
	cause := err
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		cause = path.Err
	}
	return Problem{
		Variable: file,
		Origin:   Origin{Kind: FromFile, File: file},
		What:     "cannot be read: " + cause.Error(),
		Expected: "a readable text file of at most " + strconv.Itoa(dotenvLimit>>20) + "MiB, or none",
	}
}
