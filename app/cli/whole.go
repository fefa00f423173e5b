package cli

import (
	"errors"
	"strconv"
)

// whole is a flag: a whole number.
type whole int

// String is the flag's text.
func (w *whole) String() string { return strconv.Itoa(int(*w)) }

// Type is what help calls the value.
func (w *whole) Type() string { return "number" }

// Set reads the flag.
func (w *whole) Set(text string) error {
	number, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("want a whole number")
	}
	*w = whole(number)
	return nil
}
