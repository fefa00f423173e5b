package control_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/taktwork/takt/app/control"
)

func nested(levels int) string {
	// The request itself and params are two levels.
	return `{"method":"echo","params":{"data":` + strings.Repeat("[", levels-2) + strings.Repeat("]", levels-2) + `}}`
}

func TestDecodeRequestIsStrict(t *testing.T) {
	cases := map[string]struct{ line, problem string }{
		"method alone":             {`{"method":"echo"}`, ""},
		"params":                   {`{"method":"echo","params":{"a":[{"b":1},{"b":2}]}}`, ""},
		"null params":              {`{"method":"echo","params":null}`, ""},
		"space around":             {" {\"method\":\"echo\"}\r", ""},
		"numbers beyond a float":   {`{"method":"echo","params":{"n":1e999}}`, ""},
		"value equal to a name":    {`{"method":"echo","params":{"a":"a","b":"a"}}`, ""},
		"name again in a sibling":  {`{"method":"echo","params":{"x":{"a":1},"y":{"a":1},"a":1}}`, ""},
		"deepest":                  {nested(control.MaxDepth), ""},
		"empty":                    {``, "not one JSON text"},
		"truncated":                {`{"method":"echo"`, "not one JSON text"},
		"two texts":                {`{"method":"echo"}{"method":"echo"}`, "not one JSON text"},
		"byte order mark":          {"\ufeff" + `{"method":"echo"}`, "not one JSON text"},
		"broken UTF-8":             {"{\"method\":\"\xff\"}", "not UTF-8"},
		"array":                    {`["echo"]`, "want an object"},
		"null":                     {`null`, "want an object"},
		"unknown field":            {`{"method":"echo","token":1}`, `unknown field "token"`},
		"other case":               {`{"Method":"echo"}`, `unknown field "Method"`},
		"method twice":             {`{"method":"echo","method":"x"}`, `"method" twice`},
		"name twice, escaped":      {`{"method":"echo","params":{"a":1,"\u0061":2}}`, `"a" twice`},
		"name twice after objects": {`{"method":"echo","params":{"a":{},"b":[[],{}],"a":2}}`, `"a" twice`},
		"no method":                {`{"params":{}}`, "method: want a name"},
		"method is a number":       {`{"method":1}`, "method: want a name"},
		"empty method":             {`{"method":""}`, "method: want a name"},
		"params are an array":      {`{"method":"echo","params":[]}`, "params: want an object"},
		"too deep":                 {nested(control.MaxDepth + 1), "deeper than 64"},
		"far too deep":             {nested(9000), "deeper than 64"},
		"beyond the parser":        {nested(100_000), "not one JSON text"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			method, _, err := control.DecodeRequest([]byte(c.line))
			if c.problem == "" {
				if err != nil || method != "echo" {
					t.Errorf("decodeRequest() = %q, %v, want echo", method, err)
				}
				return
			}
			if control.CodeOf(err) != control.CodeBadData || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("decodeRequest() = %v, want bad data with %q", err, c.problem)
			}
		})
	}
}

func TestDecodeParamsIsStrict(t *testing.T) {
	type params struct{ Name string }
	for text, wantErr := range map[string]bool{
		``: false, `{}`: false, `{"name":"report"}`: false, `{"name":1}`: true, `{"name":"report","force":true}`: true,
	} {
		var p params
		err := control.DecodeParams(json.RawMessage(text), &p)
		if (err != nil) != wantErr || wantErr && control.CodeOf(err) != control.CodeBadData {
			t.Errorf("DecodeParams(%s) = %v, want an error: %t", text, err, wantErr)
		}
	}
}

func FuzzControlRequest(f *testing.F) {
	for _, seed := range []string{
		`{"method":"health"}`, `{"method":"trigger","params":{"name":"report"}}`, `{"method":"a","params":{"a":1,"a":2}}`,
		`{"method":"enqueue","params":{"data":{"deep":[[[{"x":null}]]],"n":1e999,"s":"\ud800"}}}`, `[]`, `null`, `{`, "\xff", nested(65),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		method, params, err := control.DecodeRequest(line)
		if err != nil {
			if control.CodeOf(err) != control.CodeBadData {
				t.Fatalf("decodeRequest(%q) = %v, want bad data", line, err)
			}
			return
		}
		if depth := depthOf(params); depth >= control.MaxDepth {
			t.Fatalf("decodeRequest(%q) took %d levels of params", line, depth)
		}
		request := control.Request{Method: method}
		if params != nil {
			request.Params = params
		}
		encoded, err := control.EncodeLine(request)
		if err != nil {
			t.Fatalf("encode what was decoded from %q: %v", line, err)
		}
		again, paramsAgain, err := control.DecodeRequest(encoded)
		if err != nil || again != method || (params == nil) != (paramsAgain == nil) {
			t.Fatalf("decodeRequest(%q) = %q, %q, %v, want %q, %q", encoded, again, paramsAgain, err, method, params)
		}
	})
}

// depthOf counts brackets outside strings, another way than the decoder's.
func depthOf(text []byte) (deepest int) {
	depth, inString, escaped := 0, false, false
	for _, c := range text {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{', c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}', c == ']':
			depth--
		}
	}
	return deepest
}
