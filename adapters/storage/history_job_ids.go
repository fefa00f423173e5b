package storage

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// jobFilter is a Bloom filter of the ids of a block's jobs; see B. H. Bloom,
// Space/Time Trade-offs in Hash Coding with Allowable Errors, 1970.
type jobFilter []byte

const (
	// filterBytes is how many bytes each id has: of a thousand blocks that do not
	// have an id, one is taken for one that may.
	filterBytes = 2
	// filterMarks is how many bits are set for it.
	filterMarks = 6
)

// jobMarks stand for an id in filters of any length.
type jobMarks [filterMarks]uint32

func marksOf(id domain.JobID) (marks jobMarks) {
	hash := domain.Hash(string(id))
	first, step := uint32(hash), uint32(hash>>32)|1 //nolint:gosec // the halves of it
	for i := range marks {
		marks[i] = first
		first += step
	}
	return marks
}

func (f jobFilter) add(id domain.JobID) {
	for _, mark := range marksOf(id) {
		bit := f.bitOf(mark)
		f[bit/8] |= 1 << (bit % 8)
	}
}

// mayHave reports whether an id with these marks may have been added.
func (f jobFilter) mayHave(marks *jobMarks) bool {
	for _, mark := range marks {
		bit := f.bitOf(mark)
		if f[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

func (f jobFilter) bitOf(mark uint32) uint32 {
	return mark % uint32(8*len(f)) //nolint:gosec // a filter has a few kilobytes
}

// encodeFilters returns the filters of a batch's blocks: of each the place of its first
// record, its length in bytes, and itself.
func encodeFilters(blocks []historyBlock, records []domain.Record) []byte {
	const head = 2 * binary.MaxVarintLen16
	size := 0
	for i := range blocks {
		size += head + filterBytes*len(blocks[i].places)
	}
	text := make([]byte, 0, size)
	for i := range blocks {
		places := blocks[i].places
		text = binary.AppendUvarint(text, uint64(places[0])) //nolint:gosec // a place is not negative
		text = binary.AppendUvarint(text, uint64(filterBytes*len(places)))
		begin := len(text)
		text = text[:begin+filterBytes*len(places)]
		filter := jobFilter(text[begin:])
		for _, place := range places {
			filter.add(historyJobID(records[place].JobID))
		}
	}
	return text
}

var errJobIDs = errors.New("filters of job ids are damaged")

// soughtJob is a job that is looked for in blocks: what stands for its id in filters,
// and how the id is written in records.
type soughtJob struct {
	marks   jobMarks
	written string
}

func soughtJobs(ids []domain.JobID) []soughtJob {
	jobs := make([]soughtJob, len(ids))
	for i, id := range ids {
		jobs[i] = soughtJob{marksOf(id), string(appendJSONText(nil, string(id)))}
	}
	return jobs
}

// blockWithJobs is the place of a block's first record, and which of the jobs that are
// sought it may have.
type blockWithJobs struct {
	place int64
	jobs  []int
}

// blocksWith returns the blocks that may have one of the jobs.
func blocksWith(filters []byte, jobs []soughtJob) (blocks []blockWithJobs, err error) {
	for len(filters) > 0 {
		place, n := binary.Uvarint(filters)
		if n <= 0 || place > mostInBatch {
			return nil, errJobIDs
		}
		filters = filters[n:]
		size, n := binary.Uvarint(filters)
		if n <= 0 || size == 0 || size > uint64(len(filters)-n) { //nolint:gosec // n are some of them
			return nil, errJobIDs
		}
		filter := jobFilter(filters[n:][:size])
		filters = filters[n:][size:]
		block := blockWithJobs{place: int64(place)}
		for i := range jobs {
			if filter.mayHave(&jobs[i].marks) {
				block.jobs = append(block.jobs, i)
			}
		}
		if len(block.jobs) > 0 {
			blocks = append(blocks, block)
		}
	}
	return blocks, nil
}

// tellOf reports whether the records, as a block has them, tell of one of the jobs: most
// blocks that are read in vain need not be decoded.
func tellOf(records string, sought []soughtJob, jobs []int) bool {
	return slices.ContainsFunc(jobs, func(i int) bool { return strings.Contains(records, sought[i].written) })
}
