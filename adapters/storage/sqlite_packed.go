package storage

import (
	"encoding/json"
	"errors"
	"fmt"
)

// unpacked calls read for each row of a result whose one row has a JSON object
// for each two columns. The driver takes a quarter of a microsecond, and locks,
// for each value that it returns: ten thousand rows are read in half the time.
func unpacked(scan scanner, objects int, read func(scanner) error) error {
	packed := make(packedRows, objects)
	dest := make([]any, objects)
	for i := range packed {
		dest[i] = &packed[i].text
	}
	if err := scan(dest...); err != nil {
		return err
	}
	if packed[0].text == "{}" {
		return nil
	}
	next := packed.scan
	for !packed[0].ends() {
		if err := read(next); err != nil {
			return err
		}
	}
	for i := range packed {
		if !packed[i].ends() {
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
// without a copy: the texts that it returns are parts of the whole. It counts
// where it is: to cut off what was read would write a pointer, which costs more
// than all else while garbage is collected.
type jsonReader struct {
	text string
	at   int
}

// next returns the next character, or zero at the end.
func (r *jsonReader) next() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

// ends reports whether the brace that ends the object is next, and last.
func (r *jsonReader) ends() bool { return r.next() == '}' && r.at == len(r.text)-1 }

// pass goes on after the character, which is next.
func (r *jsonReader) pass(c byte) error {
	if r.next() != c {
		return r.unexpected()
	}
	r.at++
	return nil
}

// pair reads what follows on the brace or a comma.
func (r *jsonReader) pair(label, value any) error {
	if c := r.next(); c != '{' && c != ',' {
		return r.unexpected()
	}
	r.at++
	if err := r.value(label); err != nil {
		return err
	}
	if err := r.pass(':'); err != nil {
		return err
	}
	return r.value(value)
}

func (r *jsonReader) value(to any) (err error) {
	switch to := to.(type) {
	case *string:
		*to, err = r.quoted()
	case *int64:
		*to, err = r.number()
	default:
		err = fmt.Errorf("no value is read into %T", to)
	}
	return err
}

// number reads an integer of SQLite, which has 64 bits.
func (r *jsonReader) number() (number int64, err error) {
	minus := r.next() == '-'
	if minus {
		r.at++
	}
	first := r.at
	for r.at < len(r.text) && r.text[r.at]-'0' <= 9 {
		number = 10*number - int64(r.text[r.at]-'0') // the smallest number has no positive counterpart
		r.at++
	}
	if r.at == first {
		return 0, r.unexpected()
	}
	if !minus {
		number = -number
	}
	return number, nil
}

// quoted leaves texts with escapes to the library.
func (r *jsonReader) quoted() (string, error) {
	if r.next() != '"' {
		return "", r.unexpected()
	}
	first, escaped := r.at, false
	for r.at++; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			escaped = true
			r.at++
		case '"':
			r.at++
			if !escaped {
				return r.text[first+1 : r.at-1], nil
			}
			var s string
			err := json.Unmarshal([]byte(r.text[first:r.at]), &s)
			return s, err
		}
	}
	return "", r.unexpected()
}

func (r *jsonReader) unexpected() error {
	if r.at >= len(r.text) {
		return errors.New("end in the middle")
	}
	return fmt.Errorf("unexpected %q", r.text[r.at])
}
