package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// unpacked calls read for each row of a result whose one row has a JSON object
// for each two columns. The driver takes a quarter of a microsecond, and locks,
// for each value that it returns: ten thousand rows are read in half the time.
func unpacked(scan scanner, objects int, read func(scanner) error) error {
	packed := make(packedRows, objects)
	dest := make([]any, objects)
	for i := range packed {
		dest[i] = &packed[i].rest
	}
	if err := scan(dest...); err != nil {
		return err
	}
	if packed[0].rest == "{}" {
		return nil
	}
	for packed[0].rest != "}" {
		if err := read(packed.scan); err != nil {
			return err
		}
	}
	for i := range packed {
		if packed[i].rest != "}" {
			return fmt.Errorf("packed rows: %w", packed[i].unexpected())
		}
	}
	return nil
}

// packedRows are the objects whose labels and values, taken in turns, are the
// columns.
type packedRows []jsonReader

func (p packedRows) scan(dest ...any) error {
	if len(dest) != 2*len(p) {
		return fmt.Errorf("packed rows have %d columns, not %d", 2*len(p), len(dest))
	}
	for i := range p {
		if err := p[i].pair(dest[2*i], dest[2*i+1]); err != nil {
			return fmt.Errorf("packed rows: %w", err)
		}
	}
	return nil
}

// jsonReader reads an object as SQLite writes it, without white space, and
// without a copy: the texts that it returns are parts of the whole.
type jsonReader struct{ rest string }

// pair reads what follows on the brace or a comma.
func (r *jsonReader) pair(label, value any) error {
	if r.rest == "" || r.rest[0] != '{' && r.rest[0] != ',' {
		return r.unexpected()
	}
	r.rest = r.rest[1:]
	if err := r.value(label); err != nil {
		return err
	}
	if r.rest == "" || r.rest[0] != ':' {
		return r.unexpected()
	}
	r.rest = r.rest[1:]
	return r.value(value)
}

func (r *jsonReader) value(to any) (err error) {
	switch to := to.(type) {
	case *string:
		*to, err = r.text()
	case *int64:
		*to, err = r.number()
	default:
		err = fmt.Errorf("no value is read into %T", to)
	}
	return err
}

// number reads an integer of SQLite, which has 64 bits.
func (r *jsonReader) number() (number int64, err error) {
	digits := strings.TrimPrefix(r.rest, "-")
	end := 0
	for ; end < len(digits) && digits[end]-'0' <= 9; end++ {
		number = 10*number - int64(digits[end]-'0') // the smallest number has no positive counterpart
	}
	if end == 0 {
		return 0, r.unexpected()
	}
	if len(digits) == len(r.rest) {
		number = -number
	}
	r.rest = digits[end:]
	return number, nil
}

// text leaves texts with escapes to the library.
func (r *jsonReader) text() (string, error) {
	if r.rest == "" || r.rest[0] != '"' {
		return "", r.unexpected()
	}
	escaped := false
	for i := 1; i < len(r.rest); i++ {
		switch r.rest[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			quoted := r.rest[:i+1]
			r.rest = r.rest[i+1:]
			if !escaped {
				return quoted[1:i], nil
			}
			var s string
			err := json.Unmarshal([]byte(quoted), &s)
			return s, err
		}
	}
	return "", r.unexpected()
}

func (r *jsonReader) unexpected() error {
	if r.rest == "" {
		return errors.New("end in the middle")
	}
	return fmt.Errorf("unexpected %q", r.rest[0])
}
