package storage

import (
	"fmt"
	"regexp"
	"strings"
)

// Statements are written once for both dialects, with these in place of what
// differs:
//
//	?1                   a value; the first is the namespace
//	@set(a text, …)      rows as the table w, with these columns
//	w.namespace          the namespace, in statements with @set: planners then
//	                     look up each row of the set; of a constant they think
//	                     that few rows have it, and look at all of those
//	@now                 the store's time in µs since 1970
//	@max(a, b)           the larger one
//	@via(index)          the index to use; Postgres finds it by itself
//	@packed(a, b)        the first columns of a result of very many rows, a text
//	                     that tells them apart and a number: SQLite returns all
//	                     rows as one value
//	@seldom(a, b, when)  one more column of such a result, on a line of its own:
//	                     the same text, and what some rows have in the column
//	@fence               keeps planners from taking a subquery apart
var (
	setPattern    = regexp.MustCompile(`@set\(([^)]*)\)`)
	valuePattern  = regexp.MustCompile(`\?(\d)`)
	viaPattern    = regexp.MustCompile(`@via\((\w+)\)`)
	packedPattern = regexp.MustCompile(`@packed\(([^)]*)\)`)
	seldomPattern = regexp.MustCompile(`@seldom\(([^,]*), ([^,]*), (.*)\)`)
)

// compile returns the statement in the dialect.
func compile(dialect Dialect, text string) string {
	values := 1
	for _, m := range valuePattern.FindAllStringSubmatch(text, -1) {
		values = max(values, int(m[1][0]-'0'))
	}
	if dialect == Postgres {
		return compilePostgres(text, values)
	}
	return compileSQLite(text, values)
}

func compilePostgres(text string, values int) string {
	text = setPattern.ReplaceAllStringFunc(text, func(set string) string {
		var arrays, names []string
		for i, column := range columnsOf(set) {
			arrays = append(arrays, fmt.Sprintf("?%d::%s[]", values+1+i, column[1]))
			names = append(names, column[0])
		}
		// The offset keeps the planner from seeing that namespace is constant.
		return fmt.Sprintf("(SELECT ?1::text AS namespace, u.* FROM unnest(%s) AS u (%s) OFFSET 0) AS w",
			strings.Join(arrays, ", "), strings.Join(names, ", "))
	})
	text = viaPattern.ReplaceAllString(text, "")
	text = packedPattern.ReplaceAllString(text, "$1")
	text = seldomPattern.ReplaceAllString(text, "CASE WHEN $3 THEN $2 END")
	return strings.NewReplacer(
		"?", "$", "@max(", "greatest(", "@fence", fence(Postgres), "@now", "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
	).Replace(text)
}

func compileSQLite(text string, values int) string {
	text = setPattern.ReplaceAllStringFunc(text, func(set string) string {
		fields := []string{"?1 AS namespace"}
		for i, column := range columnsOf(set) {
			fields = append(fields, fmt.Sprintf("row->>%d AS %s", i, column[0]))
		}
		// The limits keep the planner from asking for each row again for each
		// of its columns, and for each column where it is used.
		return fmt.Sprintf("(SELECT %s FROM (SELECT value AS row FROM json_each(?%d) LIMIT -1) LIMIT -1) AS w",
			strings.Join(fields, ", "), values+1)
	})
	text = viaPattern.ReplaceAllString(text, "INDEXED BY $1")
	text = packedPattern.ReplaceAllString(text, "json_group_object($1)")
	text = seldomPattern.ReplaceAllString(text, "json_group_object($1, $2) FILTER (WHERE $3)")
	return strings.NewReplacer("@now", nowFunction+"()", "@max(", "max(", "@fence", fence(SQLite)).Replace(text)
}

// fence returns what keeps planners from taking a subquery apart that ends with it.
func fence(dialect Dialect) string {
	if dialect == Postgres {
		return "OFFSET 0"
	}
	return "LIMIT -1"
}

// columnsOf returns name and type of each column of a set.
func columnsOf(set string) [][2]string {
	var columns [][2]string
	for column := range strings.SplitSeq(setPattern.FindStringSubmatch(set)[1], ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(column), " ")
		columns = append(columns, [2]string{name, kind})
	}
	return columns
}
