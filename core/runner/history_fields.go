package runner

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// maxFieldValue bounds the values that are recorded, and maxSearchedData the
// data that is searched for them, in bytes.
const (
	maxFieldValue   = 256
	maxSearchedData = 1 << 20
)

// fieldsOf returns the values in the data at the paths, as far as they are
// strings, numbers or booleans.
func fieldsOf(data []byte, paths []string) []domain.Field {
	if len(paths) == 0 || len(data) > maxSearchedData {
		return nil
	}
	var fields []domain.Field
	for _, path := range paths {
		if value, ok := textOf(valueAt(data, path)); ok {
			fields = append(fields, domain.Field{Path: path, Value: domain.CleanText(value, maxFieldValue)})
		}
	}
	return fields
}

// valueAt returns the JSON at the path, nil if there is none.
func valueAt(data json.RawMessage, path string) json.RawMessage {
	for step := range strings.SplitSeq(path, ".") {
		data = bytes.TrimLeft(data, " \t\r\n")
		switch {
		case len(data) == 0:
			return nil
		case data[0] == '{':
			var members map[string]json.RawMessage
			if json.Unmarshal(data, &members) != nil {
				return nil
			}
			data = members[step]
		case data[0] == '[':
			var elements []json.RawMessage
			index, err := strconv.ParseUint(step, 10, 32)
			if err != nil || json.Unmarshal(data, &elements) != nil || index >= uint64(len(elements)) {
				return nil
			}
			data = elements[index]
		default:
			return nil
		}
	}
	return data
}

func textOf(data json.RawMessage) (string, bool) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || !json.Valid(data) {
		return "", false
	}
	switch data[0] {
	case '{', '[', 'n':
		return "", false
	case '"':
		var text string
		err := json.Unmarshal(data, &text)
		return text, err == nil
	}
	return string(data), true
}
