package storage

import (
	"encoding/json"
	"strconv"
)

// jsonRows returns the columns as a JSON array of rows: one value to bind,
// however many rows there are.
func jsonRows(columns []any) string {
	rows := 0
	switch first := columns[0].(type) {
	case []string:
		rows = len(first)
	case []int64:
		rows = len(first)
	case []bool:
		rows = len(first)
	}
	text := append(make([]byte, 0, 64*rows+2), '[')
	for row := range rows {
		if row > 0 {
			text = append(text, ',')
		}
		text = append(text, '[')
		for i, column := range columns {
			if i > 0 {
				text = append(text, ',')
			}
			text = appendJSON(text, column, row)
		}
		text = append(text, ']')
	}
	return string(append(text, ']'))
}

func appendJSON(text []byte, column any, row int) []byte {
	switch column := column.(type) {
	case []string:
		return appendJSONText(text, column[row])
	case []int64:
		return strconv.AppendInt(text, column[row], 10)
	case []bool:
		return strconv.AppendBool(text, column[row])
	}
	return append(text, "null"...)
}

// appendJSONText writes plain text as it is; the rest is left to the library.
func appendJSONText(text []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(text, `""`...)
			}
			return append(text, quoted...)
		}
	}
	text = append(text, '"')
	text = append(text, s...)
	return append(text, '"')
}
