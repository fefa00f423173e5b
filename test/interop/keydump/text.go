package keydump

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// canonical returns the JSON with members in order and no white space, or the
// text itself if it is no JSON. Numbers stay as they are written.
func canonical(text string) string {
	value, ok := parse(text)
	if !ok {
		return text
	}
	return format(value)
}

// canonicalOptions is canonical for the options of a job, times made equal.
func canonicalOptions(text string) string {
	value, ok := parse(text)
	if !ok {
		return text
	}
	if options, ok := value.(map[string]any); ok {
		for _, name := range []string{"timestamp", "prevMillis"} {
			if _, ok := options[name]; ok {
				options[name] = someTime
			}
		}
		if repeat, ok := options["repeat"].(map[string]any); ok {
			delete(options, "delay")
			repeat["offset"] = someTime
		}
	}
	return format(value)
}

// errorClass is the class of an error at the beginning of its stack.
var errorClass = regexp.MustCompile(`^\w*Error: `)

// firstLines returns of each stack its first line without the class of the
// error: those, and the rest, are the language's.
func firstLines(text string) string {
	var stacks []string
	if json.Unmarshal([]byte(text), &stacks) != nil {
		return text
	}
	for i, stack := range stacks {
		first, _, _ := strings.Cut(stack, "\n")
		stacks[i] = errorClass.ReplaceAllString(first, "")
	}
	return format(stacks)
}

func parse(text string) (any, bool) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	return value, err == nil
}

func format(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return strings.TrimSpace(out.String())
}

var changing = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|repeat:[^:"]+:\d{13}`)

// renamer gives random ids, and the runs of schedulers, which have their time
// in their id, names that are the same in every run.
type renamer map[string]string

// newRenamer numbers random ids in the order in which event streams name
// them, and the runs of each scheduler in the order of their times.
func newRenamer(raws map[string]raw) renamer {
	names := renamer{}
	runs := map[string]bool{}
	keys := streamsFirst(raws)
	for _, key := range keys {
		for _, line := range append(raws[key].lines(key), key) {
			for _, id := range changing.FindAllString(line, -1) {
				if strings.HasPrefix(id, "repeat:") {
					runs[id] = true
				} else if names[id] == "" {
					names[id] = "<id " + strconv.Itoa(len(names)+1) + ">"
				}
			}
		}
	}
	names.numberRuns(slices.Sorted(maps.Keys(runs)))
	return names
}

// streamsFirst returns the keys in order, those of streams before all others.
func streamsFirst(raws map[string]raw) []string {
	return slices.SortedFunc(maps.Keys(raws), func(a, b string) int {
		if (raws[a].kind == "stream") != (raws[b].kind == "stream") {
			if raws[a].kind == "stream" {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}

func (r renamer) numberRuns(sorted []string) {
	numbers := map[string]int{}
	for _, id := range sorted {
		scheduler := id[:strings.LastIndex(id, ":")]
		numbers[scheduler]++
		r[id] = scheduler + ":<run " + strconv.Itoa(numbers[scheduler]) + ">"
	}
}

func (r renamer) rename(text string) string {
	return changing.ReplaceAllStringFunc(text, func(id string) string { return r[id] })
}
