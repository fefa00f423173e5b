package runner_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

func TestFieldsOf_areTheTextsNumbersAndBooleansAtThePaths(t *testing.T) {
	t.Parallel()
	const data = ` {"customer": {"id": 1.50e3, "name": "Zoë \"Z\"", "vip": true, "notes": null}, "lines": [{"sku": "a"}, {"sku": "b"}], "id": "x", "id": "y"}`
	for path, want := range map[string]string{
		"customer.id": "1.50e3", "customer.name": `Zoë "Z"`, "customer.vip": "true", "lines.1.sku": "b", "id": "y",
		"customer": "", "customer.notes": "", "lines": "", "lines.2.sku": "", "lines.-1.sku": "", "lines.x": "",
		"none": "", "customer.ID": "", "id.x": "", "customer.name.0": "",
	} {
		var fields []domain.Field
		if want != "" {
			fields = []domain.Field{{Path: path, Value: want}}
		}
		if diff := cmp.Diff(fields, runner.FieldsOf([]byte(data), []string{path})); diff != "" {
			t.Errorf("fields at %s differ (-want +got):\n%s", path, diff)
		}
	}
}

func FuzzFieldsOf(f *testing.F) {
	f.Add([]byte(`{"a":{"b":"`+strings.Repeat("ü", 300)+`"}}`), "a.b")
	f.Add([]byte(strings.Repeat(`{"a":`, 20_000)), "a.a.a")
	f.Add([]byte(`[[1,"\u0000\ud800"]]`), "0.1")
	f.Add([]byte("\xff{"), ".")
	f.Add([]byte(nil), "")
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		for _, field := range runner.FieldsOf(data, []string{path, path}) {
			if len(field.Value) > 256 || !utf8.ValidString(field.Value) || strings.Contains(field.Value, "\x00") {
				t.Errorf("value %q, want at most 256 bytes of text", field.Value)
			}
		}
	})
}
