package redisqueue

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// dedupFlags are the members of BullMQ's option beside id and ttl (protocol
// 2.17).
type dedupFlags struct {
	Extend     bool `json:"extend"`
	Replace    bool `json:"replace"`
	KeepLast   bool `json:"keepLastIfActive"`
	Reschedule bool `json:"reschedule"`
}

func flagsOf(mode domain.DeduplicationMode) dedupFlags {
	return dedupFlags{
		Extend: mode.Extends(), Replace: mode.Replaces(), KeepLast: mode.KeepsLast(),
		Reschedule: mode == domain.DedupReschedule,
	}
}

// mode returns the mode that comes nearest to the flags: others than Takt can
// combine them at will. BullMQ tries a replacement first.
func (f dedupFlags) mode() domain.DeduplicationMode {
	switch {
	case f.Replace && f.KeepLast:
		return domain.DedupReplaceOrKeepLast
	case f.Replace && f.Extend:
		return domain.DedupDebounce
	case f.Replace:
		return domain.DedupReplace
	case f.KeepLast:
		return domain.DedupKeepLast
	case f.Reschedule:
		return domain.DedupReschedule
	case f.Extend:
		return domain.DedupExtend
	}
	return domain.DedupDrop
}

// appendDeduplication writes the option as BullMQ stores it.
func appendDeduplication(out []byte, d domain.Deduplication) []byte {
	if d.Key == "" {
		return out
	}
	out = append(append(out, `,"de":{"id":`...), quoteJSON(d.Key)...)
	if d.TTL > 0 {
		out = strconv.AppendInt(append(out, `,"ttl":`...), d.TTL.Milliseconds(), 10)
	}
	flags := flagsOf(d.Mode)
	for _, flag := range [...]struct {
		set  bool
		text string
	}{
		{flags.Extend, `,"extend":true`},
		{flags.Replace, `,"replace":true`},
		{flags.KeepLast, `,"keepLastIfActive":true`},
		{flags.Reschedule, `,"reschedule":true`},
	} {
		if flag.set {
			out = append(out, flag.text...)
		}
	}
	return append(out, '}')
}

// scriptDedup writes mode and TTL as read_dedup takes them
// (lua/include/dedup_hold.lua).
func scriptDedup(d domain.Deduplication) string {
	ttl := strconv.FormatInt(d.TTL.Milliseconds(), 10)
	switch d.Mode {
	case domain.DedupExtend:
		return "e" + ttl
	case domain.DedupReplace:
		return "r" + ttl
	case domain.DedupDebounce:
		return "er" + ttl
	case domain.DedupKeepLast:
		return "k" + ttl
	case domain.DedupReplaceOrKeepLast:
		return "rk" + ttl
	case domain.DedupReschedule:
		return "s" + ttl
	case domain.DedupDrop:
	}
	return ttl
}

func (o *wireOptions) decodeDeduplication(raw json.RawMessage) {
	var shape struct {
		ID  string          `json:"id"`
		TTL json.RawMessage `json:"ttl"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &shape) != nil {
		return
	}
	var flags dedupFlags
	if json.Unmarshal(raw, &flags) != nil {
		flags = dedupFlags{}
	}
	mode, ttl := flags.mode(), time.Duration(0)
	if n, _ := number(shape.TTL); !mode.KeepsLast() {
		ttl = millis(n)
	}
	if shape.ID != "" {
		o.Deduplication = domain.Deduplication{Key: shape.ID, Mode: mode, TTL: ttl}
	}
}
