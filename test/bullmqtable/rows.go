package bullmqtable

import (
	"slices"
	"strings"
)

// Row is one thing that BullMQ offers.
type Row struct {
	// Section is the class that it belongs to.
	Section string
	// Name says what declares it and what it is called: "Queue.add",
	// "WorkerOptions.limiter.max".
	Name string
	// Call is set if it is a method.
	Call bool
	// Versions are those that have it.
	Versions []string
}

// subject is a type whose members are rows.
type subject struct {
	section string
	name    string
	// older is what declares the same in versions without the name.
	older string
}

func subjects() []subject {
	return []subject{
		{section: "Queue", name: "Queue"},
		{section: "Queue", name: "QueueOptions"},
		{section: "Queue", name: "ObliterateOpts"},
		{section: "Queue", name: "QueueListener"},
		{section: "JobsOptions", name: "JobsOptions"},
		{section: "Job", name: "Job"},
		{section: "Job", name: "RetryOptions"},
		{section: "Job", name: "DependenciesOpts"},
		{section: "Worker", name: "Worker"},
		{section: "Worker", name: "WorkerOptions"},
		{section: "Worker", name: "GetNextJobOptions"},
		{section: "Worker", name: "WorkerListener"},
		{section: "FlowProducer", name: "FlowProducer"},
		{section: "FlowProducer", name: "FlowProducerOptions", older: "QueueBaseOptions"},
		{section: "FlowProducer", name: "FlowJob"},
		{section: "FlowProducer", name: "FlowOpts"},
		{section: "FlowProducer", name: "NodeOpts"},
		{section: "FlowProducer", name: "FlowProducerListener"},
		{section: "QueueEvents", name: "QueueEvents"},
		{section: "QueueEvents", name: "QueueEventsOptions"},
		{section: "QueueEvents", name: "QueueEventsListener"},
		{section: "JobScheduler", name: "JobScheduler"},
		{section: "JobScheduler", name: "RepeatOptions"},
	}
}

// opened are the types of options whose own members are rows.
func opened() []string {
	return []string{
		"AdvancedOptions", "AdvancedRepeatOptions", "BackoffOptions", "DeduplicationOptions", "KeepJobs",
		"MetricsOptions", "ParentOptions", "RateLimiterOptions",
	}
}

// Rows returns what the versions offer, in the order of their declarations:
// public methods, properties and events of the classes, members of their
// options. A group of options gives way to its members, unless it takes a
// plain value, too.
func Rows(libraries ...*Library) []Row {
	var rows []Row
	for _, s := range subjects() {
		begun := len(rows)
		for _, l := range libraries {
			for _, found := range l.rowsOf(s) {
				rows = addRow(rows, begun, found)
			}
		}
	}
	return rows
}

// addRow adds the version to the row if it is there, behind the first begun
// rows, and else adds the row.
func addRow(rows []Row, begun int, found Row) []Row {
	for i := begun; i < len(rows); i++ {
		if rows[i].Name == found.Name {
			rows[i].Versions = append(rows[i].Versions, found.Versions...)
			return rows
		}
	}
	return append(rows, found)
}

func (l *Library) rowsOf(s subject) []Row {
	members := l.members(s.name)
	if len(members) == 0 {
		members = l.members(s.older)
	}
	var rows []Row
	for _, m := range members {
		for _, m := range l.open(m) {
			rows = append(rows, Row{Section: s.section, Name: s.name + "." + m.Name, Call: m.Method, Versions: []string{l.Version}})
		}
	}
	return rows
}

// open returns the member, and the members of the options that it takes.
func (l *Library) open(m Member) []Member {
	inner, alone := l.inner(m)
	var found []Member
	if !alone {
		found = append(found, m)
	}
	for _, in := range inner {
		in.Name = m.Name + "." + in.Name
		found = append(found, l.open(in)...)
	}
	return found
}

// inner returns the members of the options that a member takes, and whether
// it takes nothing else.
func (l *Library) inner(m Member) (members []Member, alone bool) {
	if body, isObject := strings.CutPrefix(m.Type, "{"); isObject {
		inside, _ := block(body)
		return membersOf(inside), true
	}
	parts := split(m.Type, "|")
	for _, part := range parts {
		if slices.Contains(opened(), part) {
			return l.members(part), len(parts) == 1
		}
	}
	return nil, false
}
