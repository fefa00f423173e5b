package storage

import (
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
		if value == nil {
			return fmt.Errorf("column %d is null", i+1)
		}
		switch to := dest[i].(type) {
		case *string:
			if string(value) != *to {
				*to = string(value)
			}
		case *int64:
			const size = 8
			if r.FieldDescriptions()[i].Format != pgx.BinaryFormatCode || len(value) != size {
				return fmt.Errorf("column %d is no number of 64 bits", i+1)
			}
			*to = int64(binary.BigEndian.Uint64(value)) //nolint:gosec // as it is sent
		default:
			return fmt.Errorf("no value is read into %T", to)
		}
	}
	return nil
}
