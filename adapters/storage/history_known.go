package storage

// mostKnownKinds bounds what is remembered, some MB: a job has up
// to five for each replica, and names of jobs come from outside, too.
const mostKnownKinds = 1 << 17

// anyForgotten is how often kinds had been removed, as far as those care who know no number.
const anyForgotten = -1

// knownKinds are the numbers of kinds by their digests, as long as nobody removes some.
type knownKinds struct {
	// forgotten is how often kinds had been removed.
	forgotten int64
	numbers   map[kindDigest]int64
}

func newKnownKinds(forgotten int64) *knownKinds {
	return &knownKinds{forgotten: forgotten, numbers: make(map[kindDigest]int64)}
}

func (k *knownKinds) add(digest kindDigest, number int64) {
	if len(k.numbers) >= mostKnownKinds {
		clear(k.numbers)
	}
	k.numbers[digest] = number
}

// number names the kinds of a batch.
func (k *knownKinds) number(kinds []historyKind, namespace string) namedKinds {
	named := namedKinds{numbers: make([]int64, len(kinds))}
	for i := range kinds {
		digest := kinds[i].digest(namespace)
		number, found := k.numbers[digest]
		if !found {
			named.fresh, named.digests = append(named.fresh, kinds[i]), append(named.digests, digest[:])
			number = int64(-len(named.fresh))
		}
		named.numbers[i] = number
	}
	return named
}

// namedKinds are the kinds of a batch: those that are known by their numbers, and new ones.
type namedKinds struct {
	// numbers are those of the kinds. A new one has that of its place among the new ones,
	// counted down from -1.
	numbers []int64
	fresh   []historyKind
	digests [][]byte
}

// of returns the numbers of kinds that are given by their places, counted from one.
func (n *namedKinds) of(places []int64) []int64 {
	numbers := make([]int64, len(places))
	for i, place := range places {
		numbers[i] = n.numbers[place-1]
	}
	return numbers
}

// columns returns the columns of the new ones.
func (n *namedKinds) columns() []any {
	var columns [6][]string
	fielded := make([]bool, len(n.fresh))
	for i := range n.fresh {
		k := &n.fresh[i]
		for c, text := range [...]string{k.job, k.origin, k.queue, k.jobName, k.event, k.replica} {
			columns[c] = append(columns[c], text)
		}
		fielded[i] = k.fielded
	}
	return []any{n.digests, columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], fielded}
}

// teach adds the numbers that the new ones got.
func (n *namedKinds) teach(known *knownKinds, numbers []int64) {
	for i, number := range numbers {
		known.add(kindDigest(n.digests[i]), number)
	}
}
