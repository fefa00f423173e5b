package differential_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// normaliser makes equal what may differ (package doc).
type normaliser struct {
	// base is when the sequence began, in ms.
	base int64
}

// foreignVersion is what a Queue of Node left in the meta of a queue. Ours
// leaves it as it is.
const foreignVersion = "bullmq:5.99.9"

// timePattern finds times of this age in ms.
var timePattern = regexp.MustCompile(`\b1[6-9]\d{11}(\.\d+)?\b`)

// text replaces times by their distance from the base.
func (n normaliser) text(s string) string {
	return timePattern.ReplaceAllStringFunc(s, func(digits string) string {
		ms, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return digits
		}
		return n.time(ms)
	})
}

// time writes a time in hours since the base.
func (n normaliser) time(ms float64) string {
	return fmt.Sprintf("T%+dh", int64(math.Floor((ms-float64(n.base))/float64(hour)+0.5)))
}

func (n normaliser) lines(e *entry) []string {
	lines := []string{e.kind.Val()}
	if e.ttl.Val() > 0 {
		lines[0] += fmt.Sprintf(" for %d h", hoursOf(e.ttl.Val()))
	}
	name := e.key[strings.LastIndexByte(e.key, ':')+1:]
	switch value := e.value.(type) {
	case *redis.StringCmd:
		if name == "lock" {
			return append(lines, "a token")
		}
		return append(lines, n.text(value.Val()))
	case *redis.StringSliceCmd:
		list := value.Val()
		if e.kind.Val() == "set" {
			slices.Sort(list)
		}
		for _, text := range list {
			lines = append(lines, n.text(text))
		}
	case *redis.MapStringStringCmd:
		for _, field := range slices.Sorted(maps.Keys(value.Val())) {
			lines = append(lines, n.field(field, value.Val())...)
		}
	case *redis.ZSliceCmd:
		for _, z := range value.Val() {
			lines = append(lines, n.text(fmt.Sprint(z.Member))+" at "+n.score(name, z.Score))
		}
	case *redis.Cmd:
		lines = append(lines, n.stream(value.Val())...)
	}
	return lines
}

// score writes a score: those of delayed jobs count in 4096th of a ms.
func (n normaliser) score(set string, score float64) string {
	if set == "delayed" {
		return n.time(math.Floor(score / 4096))
	}
	return n.text(strconv.FormatFloat(score, 'f', -1, 64))
}

// field writes a field of a hash.
func (n normaliser) field(name string, hash map[string]string) []string {
	value := hash[name]
	switch name {
	case "nrjid":
		return nil
	case "version":
		if value != foreignVersion {
			return nil
		}
	case "opts", "parent", "pd":
		value = canonical(value)
	case "stacktrace":
		value = messages(value)
	case "delay":
		if delay, err := strconv.ParseFloat(value, 64); err == nil && hash["rjk"] != "" {
			// The time until the run of a scheduler, which is no round number.
			value = fmt.Sprintf("%d h", int64(math.Round(delay/float64(hour))))
		}
	}
	return []string{name + " = " + n.text(value)}
}

// stream writes the entries without their ids.
func (n normaliser) stream(value any) []string {
	entries, _ := value.([]any)
	lines := make([]string, 0, len(entries))
	for _, each := range entries {
		parts, _ := each.([]any)
		if len(parts) < 2 {
			continue
		}
		fields, _ := parts[1].([]any)
		words := make([]string, 0, len(fields))
		for i := 0; i+1 < len(fields); i += 2 {
			words = append(words, fmt.Sprintf("%v=%v", fields[i], fields[i+1]))
		}
		lines = append(lines, n.text(strings.Join(words, " ")))
	}
	return lines
}

// canonical returns JSON with the members of objects in order.
func canonical(text string) string {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return text
	}
	if opts, ok := value.(map[string]any); ok {
		roundDelay(opts)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return strings.TrimSpace(out.String())
}

// roundDelay rounds the delay of a scheduler's run to hours.
func roundDelay(opts map[string]any) {
	if _, ok := opts["repeat"]; !ok {
		return
	}
	if number, ok := opts["delay"].(json.Number); ok {
		if ms, err := number.Float64(); err == nil {
			opts["delay"] = math.Round(ms / float64(hour))
		}
	}
}

var errorClass = regexp.MustCompile(`^\w*Error: `)

// messages returns of each stack its message.
func messages(text string) string {
	var stacks []string
	if json.Unmarshal([]byte(text), &stacks) != nil {
		return text
	}
	for i, stack := range stacks {
		first, _, _ := strings.Cut(stack, "\n")
		stacks[i] = errorClass.ReplaceAllString(first, "")
	}
	return fmt.Sprintf("%q", stacks)
}
