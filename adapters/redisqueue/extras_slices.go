package redisqueue

// Bounds of one call of flow_add.lua.
const (
	maxAdded      = 1000
	maxAddedBytes = 1 << 20
)

// fitting returns how many of the jobs go into one call.
func fitting(jobs []plannedJob) int {
	bytes := 0
	for i := range jobs {
		if bytes += jobs[i].size(); i > 0 && bytes > maxAddedBytes || i == maxAdded {
			return i
		}
	}
	return len(jobs)
}

// size is about how many bytes the job takes in a call, and as a parent that
// waits for a later one.
func (p *plannedJob) size() int {
	n := len(p.job.Name) + len(p.job.Data) + len(p.opts) + len(p.base) + len(p.job.Options.ID) + len(p.job.Options.Deduplication.Key)
	if p.parent != nil {
		n += 2*(len(p.parent.base)+len(p.parent.id)) + len(p.parent.field)
	}
	return n + nodeArgs*argHead
}

// argHead is about how many bytes stand before an argument on the wire.
const argHead = 8

// family says of planned jobs that take several calls which of them are
// siblings. The zero value is that of jobs that take one.
type family struct {
	jobs []plannedJob
	// next is the place of each job's next sibling, children that of its first
	// child; zero if there is none.
	next, children []int
}

// familyOf looks at planned jobs. A job that its parent may have to wait for
// before it is there gets an id.
func familyOf(jobs []plannedJob) family {
	if fitting(jobs) == len(jobs) {
		return family{}
	}
	f := family{jobs: jobs, next: make([]int, len(jobs)), children: make([]int, len(jobs))}
	first := map[string]int{}
	for i := len(jobs) - 1; i >= 0; i-- {
		p := &jobs[i]
		if p.waits {
			f.children[i] = first[p.key()]
		}
		if p.parent == nil {
			continue
		}
		if p.job.Options.ID == "" {
			p.job.Options.ID, p.made = newJobID(), true
		}
		key := p.parent.base + p.parent.id
		f.next[i], first[key] = first[key], i
	}
	return f
}

// toCome returns, for each parent that is among the jobs from one place up to
// another or has children there, the first of its children behind these. Of
// other parents the calls before have told.
func (f *family) toCome(from, to int) []*plannedJob {
	if f.jobs == nil {
		return nil
	}
	var coming []*plannedJob
	for i := from; i < to; i++ {
		if f.jobs[i].ended {
			continue
		}
		for _, place := range [...]int{f.next[i], f.children[i]} {
			if place >= to {
				coming = append(coming, &f.jobs[place])
			}
		}
	}
	return coming
}

// passOverEnded marks those from one place up to another whose parent turned out
// to have ended.
func passOverEnded(jobs []plannedJob, from, to int) {
	for i := from; i < to; i++ {
		above := jobs[i].above
		jobs[i].ended = above >= 0 && jobs[above].ended
	}
}
