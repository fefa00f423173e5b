package redisqueue_test

import (
	"math"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

func TestValuesPassThroughTheServerUnchanged(t *testing.T) {
	client := redistest.Start(t).Client()
	numbers := []int64{
		0, 1, 127, 128, 255, 256, 65_535, 65_536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 53,
		-1, -32, -33, -128, -129, -32_768, -32_769, math.MinInt32, math.MinInt32 - 1, -1 << 53,
	}
	texts := []string{
		"", "a", strings.Repeat("b", 31), strings.Repeat("c", 32), strings.Repeat("d", 255), strings.Repeat("e", 256),
		strings.Repeat("f", 65_535), strings.Repeat("g", 65_536), "\x00\xff\n", "später",
	}
	for i := range max(len(numbers), len(texts)) {
		text, number, flag := texts[i%len(texts)], numbers[i%len(numbers)], i%2 == 0
		reply, err := client.Eval(t.Context(), "return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))", nil, redisqueue.Pack(text, number, flag)).Result()
		if err != nil {
			t.Fatalf("EVAL = %v, want no error", err)
		}
		gotText, gotNumber, gotFlag, err := redisqueue.Unpack(reply)
		if err != nil || gotText != text || gotNumber != number || gotFlag != flag {
			t.Errorf("%d bytes, %d, %t came back as %d bytes, %d, %t, %v", len(text), number, flag, len(gotText), gotNumber, gotFlag, err)
		}
	}
}

func TestRepliesOfAnotherKindAreErrors(t *testing.T) {
	for _, reply := range []any{nil, int64(1), true, []any{"a"}, map[any]any{}, 1.5, "", "\x93", "\xdd\xff\xff\xff\xff", "\x91\xdd\x7f\xff\xff\xff"} {
		for script, err := range redisqueue.ReadLedgerReply(reply, 1) {
			if err == nil {
				t.Errorf("the reply %q of %s is read, want an error", reply, script)
			}
		}
	}
}

func FuzzLedgerReply(f *testing.F) {
	f.Add("\x91\x95\x01\xc3\x00\xa0\xa0", uint8(1))
	f.Add("\x91\x9b\x01\xc3\x00\xa0\xa3ann\x01\x01\x00\x00\x00\xa2v1", uint8(1))
	f.Add("\x92\x01\x02", uint8(2))
	f.Add("\x92\xc2\xc3", uint8(2))
	f.Add("\x93\xc2\x00\x91\x97\xadmanual:0:a@1x\x01\x01\x00\x00\x00\xa2v1", uint8(1))
	f.Add("\x96\x01\xc3\x05\xc2\x91\xa3ann\x91\x95\xa1a\x01\x01\x01\xc2", uint8(1))
	f.Add("\x92\x01\xa3one", uint8(1))
	f.Add("\xdd\xff\xff\xff\xff", uint8(255))
	f.Fuzz(func(t *testing.T, reply string, count uint8) {
		redisqueue.ReadLedgerReply(reply, int(count))
		verdicts, err := redisqueue.ReadVerdicts(reply, make([]domain.Intent, count))
		if err == nil && len(verdicts) != int(count) {
			t.Errorf("%d verdicts on %d intents, want as many", len(verdicts), count)
		}
	})
}
