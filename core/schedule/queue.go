package schedule

// arity is the number of children of a node. Four of them share a cache line,
// and the heap is half as deep as a binary one.
const arity = 4

// entry is a node of the heap: small, so that sifting stays within few lines.
type entry struct {
	at   int64
	slot int32
}

// before orders by instant and then by slot, so that the order is the same on every run.
func (e entry) before(other entry) bool {
	return e.at < other.at || e.at == other.at && e.slot < other.slot
}

// queue is a heap of slots by instant that can find a slot again.
type queue struct {
	heap []entry
	// places holds, for every slot, its node in the heap.
	places []int32
}

func (q *queue) len() int { return len(q.heap) }

func (q *queue) first() (slot int32, at int64) { return q.heap[0].slot, q.heap[0].at }

func (q *queue) grow(n int) {
	q.heap = make([]entry, 0, n)
	q.places = make([]int32, 0, n)
}

func (q *queue) push(slot int32, at int64) {
	for int(slot) >= len(q.places) {
		q.places = append(q.places, 0)
	}
	q.heap = append(q.heap, entry{})
	q.up(len(q.heap)-1, entry{at: at, slot: slot})
}

// move gives a queued slot another instant.
func (q *queue) move(slot int32, at int64) {
	q.place(int(q.places[slot]), entry{at: at, slot: slot})
}

func (q *queue) remove(slot int32) {
	node, last := int(q.places[slot]), len(q.heap)-1
	moved := q.heap[last]
	q.heap = q.heap[:last]
	if node < last {
		q.place(node, moved)
	}
}

// place puts an entry where it belongs, starting from a node it may overwrite.
func (q *queue) place(node int, e entry) {
	if node > 0 && e.before(q.heap[(node-1)/arity]) {
		q.up(node, e)
		return
	}
	q.down(node, e)
}

func (q *queue) up(node int, e entry) {
	for node > 0 {
		parent := (node - 1) / arity
		if !e.before(q.heap[parent]) {
			break
		}
		q.put(node, q.heap[parent])
		node = parent
	}
	q.put(node, e)
}

func (q *queue) down(node int, e entry) {
	for {
		least := node*arity + 1
		if least >= len(q.heap) {
			break
		}
		end := min(least+arity, len(q.heap))
		for child := least + 1; child < end; child++ {
			if q.heap[child].before(q.heap[least]) {
				least = child
			}
		}
		if !q.heap[least].before(e) {
			break
		}
		q.put(node, q.heap[least])
		node = least
	}
	q.put(node, e)
}

func (q *queue) put(node int, e entry) {
	q.heap[node] = e
	q.places[e.slot] = int32(node) //nolint:gosec // A node is never beyond the number of slots.
}
