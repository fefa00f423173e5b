package config

// nearest is the candidate that differs least from the name, or "" if none is
// close enough to be meant. Of equals the first wins.
func nearest(name string, candidates []string) string {
	const longest = 128 // beyond it nobody mistyped a known name, and the distance is quadratic
	if len(name) > longest {
		return ""
	}
	best, least := "", len(name)/3+1
	for _, candidate := range candidates {
		if edits := distance(name, candidate); edits < least {
			best, least = candidate, edits
		}
	}
	return best
}

// distance counts the single-byte insertions, deletions and replacements that
// make one text the other.
func distance(from, to string) int {
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(from) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(to) {
			cost := diagonal
			if from[i] != to[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
