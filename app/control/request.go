package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	maxRequest = 6 << 20 // a job's data is at most 5 MiB
	maxReply   = 64 << 20
	maxDepth   = 64
)

type request struct {
	Method string `json:"method"`
	Params any    `json:"params,omitempty"`
}

type reply struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *RemoteError    `json:"error,omitempty"`
}

// readLine returns one line without its end. It reads at most limit bytes and refuses what follows the line.
func readLine(from io.Reader, limit int) ([]byte, error) {
	reader := bufio.NewReader(io.LimitReader(from, int64(limit)+1))
	line, err := reader.ReadBytes('\n')
	switch {
	case len(line) > limit:
		return nil, fmt.Errorf("the line is longer than %d bytes", limit)
	case errors.Is(err, io.EOF):
		return nil, errors.New("the line has no end")
	case err != nil:
		return nil, err
	case reader.Buffered() > 0:
		return nil, errors.New("data after the line")
	}
	return line[:len(line)-1], nil
}

func decodeRequest(line []byte) (method string, params json.RawMessage, err error) {
	if err := checkJSON(line); err != nil {
		return "", nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil || members == nil {
		return "", nil, refusal(CodeBadData, "request: want an object with method and params")
	}
	for name := range members {
		if name != "method" && name != "params" {
			return "", nil, refusal(CodeBadData, "request: unknown field %.64q", name)
		}
	}
	if err := json.Unmarshal(members["method"], &method); err != nil || method == "" {
		return "", nil, refusal(CodeBadData, "request: method: want a name")
	}
	params = members["params"]
	if string(params) == "null" {
		params = nil
	}
	if params != nil && params[0] != '{' {
		return "", nil, refusal(CodeBadData, "request: params: want an object")
	}
	return method, params, nil
}

// DecodeParams reads the params of a request into a struct for a handler; fields the struct does not have are refused.
// Absent params leave it as it is. The error is marked CodeBadData.
func DecodeParams(params json.RawMessage, into any) error {
	if len(params) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return refusal(CodeBadData, "params: %w", err)
	}
	return nil
}

// encodeLine leaves <, > and & as they are: escaped, a legal payload could outgrow the limit.
func encodeLine(value any) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return line.Bytes(), nil
}

// checkJSON accepts one JSON text and refuses what encoding/json would let pass: broken UTF-8, a name twice in one
// object, nesting deeper than maxDepth.
func checkJSON(text []byte) error {
	if !utf8.Valid(text) {
		return refusal(CodeBadData, "request: not UTF-8")
	}
	if !json.Valid(text) {
		return refusal(CodeBadData, "request: not one JSON text")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var open nesting
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = open.take(token)
		}
		if err != nil {
			return refusal(CodeBadData, "request: %w", err)
		}
	}
}

// nesting is the objects and arrays that are open, the innermost last.
type nesting []level

type level struct {
	names    map[string]struct{} // nil in an array
	wantName bool
}

func (n *nesting) take(token json.Token) error {
	switch token {
	case json.Delim('{'):
		return n.push(level{names: map[string]struct{}{}, wantName: true})
	case json.Delim('['):
		return n.push(level{})
	case json.Delim('}'), json.Delim(']'):
		*n = (*n)[:len(*n)-1]
	}
	if len(*n) == 0 {
		return nil
	}
	return (*n)[len(*n)-1].take(token)
}

func (n *nesting) push(l level) error {
	if len(*n) == maxDepth {
		return fmt.Errorf("deeper than %d levels", maxDepth)
	}
	*n = append(*n, l)
	return nil
}

// take sees a name, or the end of a value.
func (l *level) take(token json.Token) error {
	name, isString := token.(string)
	if !l.wantName || !isString {
		l.wantName = l.names != nil
		return nil
	}
	if _, twice := l.names[name]; twice {
		return fmt.Errorf("%.64q twice in one object", name)
	}
	l.names[name] = struct{}{}
	l.wantName = false
	return nil
}
