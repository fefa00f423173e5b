package config_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

// The vectors are random files with what npm's dotenv 16.6.1 read from them.
// Where we see no mistake we must read the same.
func TestEveryFileWithoutAMistakeReadsAsInNode(t *testing.T) {
	data, err := os.ReadFile("testdata/dotenv_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Text string
		Want map[string]string
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, vector := range vectors {
		got, problems, _ := config.DotenvValues(".env", []byte(vector.Text))
		if len(problems) > 0 {
			continue
		}
		compared++
		if diff := cmp.Diff(vector.Want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", vector.Text, diff)
		}
	}
	if compared < len(vectors)/2 {
		t.Errorf("%d of %d vectors compared, want at least half", compared, len(vectors))
	}
}
