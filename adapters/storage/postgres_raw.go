package storage

import (
	"database/sql"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// rawRows reads the rows of a result of very many as they came: to look for how
// each value is read, and to copy each text, would be most of the work.
type rawRows struct{ pgx.Rows }

// scan reads the columns of the row, texts and numbers of 64 bits. A text that is
// what its variable has already is not copied.
func (r rawRows) scan(dest ...any) error {
	values := r.RawValues()
	if len(values) != len(dest) {
		return fmt.Errorf("rows have %d columns, not %d", len(values), len(dest))
	}
	for i, value := range values {
		var err error
		switch to := dest[i].(type) {
		case *string:
			err = r.text(i, value, to)
		case *int64:
			err = r.number(i, value, to)
		case *sql.Null[string]:
			if to.Valid = value != nil; to.Valid {
				err = r.text(i, value, &to.V)
			}
		case *sql.Null[int64]:
			if to.Valid = value != nil; to.Valid {
				err = r.number(i, value, &to.V)
			}
		default:
			err = fmt.Errorf("no value is read into %T", to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r rawRows) text(column int, value []byte, to *string) error {
	if value == nil {
		return fmt.Errorf("column %d is null", column+1)
	}
	if string(value) != *to {
		*to = string(value)
	}
	return nil
}

func (r rawRows) number(column int, value []byte, to *int64) error {
	if value == nil {
		return fmt.Errorf("column %d is null", column+1)
	}
	const size = 8
	if r.FieldDescriptions()[column].Format != pgx.BinaryFormatCode || len(value) != size {
		return fmt.Errorf("column %d is no number of 64 bits", column+1)
	}
	*to = int64(binary.BigEndian.Uint64(value)) //nolint:gosec // as it is sent
	return nil
}
