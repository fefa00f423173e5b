package storage

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// unpacked calls read for each row of a result whose one row has a JSON object for
// all rows and one for each column that few of them have. The driver takes a quarter
// of a microsecond, and locks, for each value that it returns: ten thousand rows are
// read in half the time.
func unpacked(scan scanner, objects int, read func(scanner) error) error {
	texts, dest := make([]string, objects), make([]any, objects)
	for i := range texts {
		dest[i] = &texts[i]
	}
	if err := scan(dest...); err != nil {
		return err
	}
	p, err := newPackedRows(texts)
	if err != nil {
		return fmt.Errorf("packed rows: %w", err)
	}
	next := p.scan
	for !p.rows.ends() {
		if err := read(next); err != nil {
			return err
		}
	}
	for i := range p.seldom {
		if !p.seldom[i].ends() {
			return fmt.Errorf("packed rows: no row in place has the label %q", p.seldom[i].row)
		}
	}
	return nil
}

// packedRows are the labels and values of an object, and what each other object has
// for some of the labels, in the same order.
type packedRows struct {
	rows   jsonReader
	seldom []seldomColumn
}

// seldomColumn stands at the value of the row, behind its label.
type seldomColumn struct {
	jsonReader

	row string
}

func newPackedRows(objects []string) (*packedRows, error) {
	p := &packedRows{rows: jsonReader{text: objects[0]}, seldom: make([]seldomColumn, len(objects)-1)}
	if err := p.rows.pass('{'); err != nil {
		return nil, err
	}
	for i := range p.seldom {
		column := &p.seldom[i]
		column.text = objects[i+1]
		if err := column.pass('{'); err != nil {
			return nil, err
		}
		if err := column.advance(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *packedRows) scan(dest ...any) error {
	if len(dest) != 2+len(p.seldom) {
		return fmt.Errorf("packed rows have %d columns, not %d", 2+len(p.seldom), len(dest))
	}
	row, isText := dest[0].(*string)
	if !isText {
		return fmt.Errorf("packed rows: no label is read into %T", dest[0])
	}
	err := p.rows.label(row)
	if err == nil {
		err = p.rows.value(dest[1])
	}
	for i := 0; i < len(p.seldom) && err == nil; i++ {
		err = p.seldom[i].valueOf(*row, dest[2+i])
	}
	if err != nil {
		return fmt.Errorf("packed rows: %w", err)
	}
	return nil
}

// valueOf reads the value of the row, if there is one.
func (c *seldomColumn) valueOf(row string, to any) (err error) {
	has := c.row == row && !c.ends()
	switch to := to.(type) {
	case *sql.Null[string]:
		if to.Valid = has; has {
			err = c.value(&to.V)
		}
	case *sql.Null[int64]:
		if to.Valid = has; has {
			err = c.value(&to.V)
		}
	default:
		return fmt.Errorf("no value is read into %T", to)
	}
	if err != nil || !has {
		return err
	}
	return c.advance()
}

// advance goes on to the next value, if there is one.
func (c *seldomColumn) advance() error {
	if c.ends() {
		return nil
	}
	return c.label(&c.row)
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

// label reads the next label and the colon behind it; before all but the first,
// which follows on the brace, there is a comma.
func (r *jsonReader) label(to *string) (err error) {
	if r.at > 1 {
		if err := r.pass(','); err != nil {
			return err
		}
	}
	if *to, err = r.quoted(); err != nil {
		return err
	}
	return r.pass(':')
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
