package keydump

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	someTime   = "<time>"
	someToken  = "<token>"
	someWorker = "<worker>"
)

func normalise(raws map[string]raw) Dump {
	names := newRenamer(raws)
	dump := Dump{}
	for key, value := range raws {
		lines := []string{value.kind}
		if value.ttl {
			lines[0] += " with a TTL"
		}
		content := value.lines(key)
		for i, line := range content {
			content[i] = names.rename(line)
		}
		if value.kind == "set" || (value.kind == "zset" && !strings.HasSuffix(key, ":prioritized")) {
			slices.Sort(content)
		}
		dump[names.rename(key)] = append(lines, content...)
	}
	return dump
}

// lines returns the content as text.
func (r raw) lines(key string) []string {
	switch r.kind {
	case "string":
		return []string{stringLine(key, r.text)}
	case "list":
		return slices.Clone(r.list)
	case "set":
		return slices.Sorted(slices.Values(r.list))
	case "hash":
		return hashLines(r.hash)
	case "zset":
		return zsetLines(key, r.zset)
	case "stream":
		return streamLines(r.log)
	}
	return nil
}

func stringLine(key, text string) string {
	switch {
	case strings.HasSuffix(key, ":lock"):
		return someToken
	case strings.HasSuffix(key, ":stalled-check"):
		return someTime
	}
	return text
}

// hashLines writes a hash field by field. Field names have one meaning in all
// of BullMQ's hashes, so that the kind of hash does not matter. nrjid, which
// 5.x writes and nobody needs, and the version of the latest Queue object are
// left out.
func hashLines(hash map[string]string) []string {
	var lines []string
	for _, field := range slices.Sorted(maps.Keys(hash)) {
		value := hash[field]
		switch field {
		case "version", "nrjid":
			continue
		case "timestamp", "processedOn", "finishedOn", "prevTS", "offset", "startDate", "endDate":
			value = someTime
		case "delay":
			if hash["rjk"] != "" && value != "0" {
				value = someTime
			}
		case "pb":
			value = someWorker
		case "opts":
			value = canonicalOptions(value)
		case "parent", "returnvalue", "progress", "pd":
			value = canonical(value)
		case "stacktrace":
			value = firstLines(value)
		}
		lines = append(lines, field+" = "+value)
	}
	return lines
}

// zsetLines writes members with their scores where a score is no time: among
// prioritized jobs, and the marker that says now.
func zsetLines(key string, members []redis.Z) []string {
	var lines []string
	for _, z := range members {
		score := someTime
		if z.Score == 0 || strings.HasSuffix(key, ":prioritized") {
			score = strconv.FormatFloat(z.Score, 'f', -1, 64)
		}
		lines = append(lines, fmt.Sprintf("%v at %s", z.Member, score))
	}
	return lines
}

// streamLines writes the entries without their ids.
func streamLines(entries []redis.XMessage) []string {
	var lines []string
	for _, entry := range entries {
		fields := slices.SortedFunc(maps.Keys(entry.Values), func(a, b string) int {
			if (a == "event") != (b == "event") {
				return cmp.Compare(strconv.FormatBool(b == "event"), strconv.FormatBool(a == "event"))
			}
			return cmp.Compare(a, b)
		})
		var line strings.Builder
		for _, field := range fields {
			value := fmt.Sprint(entry.Values[field])
			switch field {
			case "delay":
				value = someTime
			case "returnvalue", "data":
				value = canonical(value)
			}
			line.WriteString(" " + field + "=" + value)
		}
		lines = append(lines, strings.TrimSpace(line.String()))
	}
	return lines
}
