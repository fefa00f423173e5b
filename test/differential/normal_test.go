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
		// Jobs of one step with one delay are told apart by these bits.
		return fmt.Sprintf("%s no. %d", n.time(math.Floor(score/4096)), int64(math.Mod(score, 4096)))
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
		value = n.options(value)
	case "stacktrace":
		value = messages(value)
	case "delay":
		if hash["rjk"] != "" {
			value = n.run(value, hash["timestamp"])
		}
	case "offset":
		value = n.offset(value, hash["every"])
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

// options writes options of a job or a parent field, with members in order.
func (n normaliser) options(text string) string {
	value := decode(text)
	opts, ok := value.(map[string]any)
	if !ok {
		return text
	}
	if repeat, ok := opts["repeat"].(map[string]any); ok {
		if delay, ok := opts["delay"]; ok {
			opts["delay"] = n.run(fmt.Sprint(delay), fmt.Sprint(opts["timestamp"]))
		}
		if offset, ok := repeat["offset"]; ok {
			repeat["offset"] = n.offset(fmt.Sprint(offset), fmt.Sprint(repeat["every"]))
		}
	}
	return encode(opts)
}

// run writes the delay of a scheduler's run, which is what is left until the
// run: as the time of the run.
func (n normaliser) run(delay, timestamp string) string {
	left, err1 := strconv.ParseFloat(delay, 64)
	from, err2 := strconv.ParseFloat(timestamp, 64)
	if err1 != nil || err2 != nil || left == 0 {
		return delay
	}
	return "until " + n.time(from+left)
}

// offset writes the offset of an interval, which depends on when the first run
// was if none is given.
func (n normaliser) offset(offset, every string) string {
	ms, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		return offset
	}
	interval, err := strconv.ParseInt(every, 10, 64)
	if err != nil || interval == 0 {
		// A pattern took the place of an interval.
		interval = hour
	}
	const while = 60_000
	after := ((ms-n.base)%interval + interval) % interval
	if after%hour < while {
		return fmt.Sprintf("first run + %d h", after/hour)
	}
	return offset
}

// canonical returns JSON with the members of objects in order.
func canonical(text string) string {
	value := decode(text)
	if value == nil {
		return text
	}
	return encode(value)
}

func decode(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	return value
}

func encode(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return strings.TrimSpace(out.String())
}

var errorPrefix = regexp.MustCompile(`^\w*Error: `)

// messages returns of each stack its message.
func messages(text string) string {
	var stacks []string
	if json.Unmarshal([]byte(text), &stacks) != nil {
		return text
	}
	for i, stack := range stacks {
		first, _, _ := strings.Cut(stack, "\n")
		stacks[i] = errorPrefix.ReplaceAllString(first, "")
	}
	return fmt.Sprintf("%q", stacks)
}
