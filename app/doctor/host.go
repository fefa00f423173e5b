package doctor

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/taktwork/takt/app/control"
)

// Checks of this host.
const (
	// CheckZones is the data of time zones.
	CheckZones = "time zones"
	// CheckWorkers are the state directory and the workers that run here.
	CheckWorkers = "workers"
)

// Zones is what was found out about time zones.
type Zones struct {
	// Data is the release and the place of the data.
	Data string
	// Name is the zone of schedules without one, as of Now.
	Name string
	Now  time.Time
}

// releaseName is that of a release of the zone data, such as 2026a.
var releaseName = regexp.MustCompile(`^([0-9]{4})[a-z]\b`)

// agedYears is after how many years zone data is old: governments change clocks
// several times a year.
const agedYears = 2

// Findings judges the zone data.
func (z *Zones) Findings() []Finding {
	location, err := time.LoadLocation(z.Name)
	if err != nil {
		return []Finding{mistake(CheckZones, "the zone "+z.Name+" is not known: "+words(err)+" ("+z.Data+")",
			"correct WORKER_TIMEZONE, or install the package tzdata")}
	}
	found := fine(CheckZones, "data %s; WORKER_TIMEZONE %s has %s now", z.Data, z.Name, z.Now.In(location).Format("15:04 -07:00"))
	if match := releaseName.FindStringSubmatch(z.Data); match != nil {
		if year, err := strconv.Atoi(match[1]); err == nil && z.Now.Year()-year > agedYears {
			return []Finding{warning(CheckZones, found.Found+": the data is old, and clocks may change where it does not say so",
				"upgrade the package tzdata, or the image")}
		}
	}
	return []Finding{found}
}

// Worker is what a worker that runs on this host answered.
type Worker struct {
	Name string
	// Line is its health in one line; Ready and Live tell the verdict.
	Line        string
	Ready, Live bool
	// Err is why there is no answer.
	Err error
}

// Workers is what was found out about the workers of this host.
type Workers struct {
	StateDir, Namespace string
	// Err is why they cannot be looked for.
	Err     error
	Running []Worker
	// Dead are those that left their files.
	Dead []string
}

// Findings judges the workers.
func (w *Workers) Findings() []Finding {
	if place, is := errors.AsType[*control.PlaceError](w.Err); is {
		return []Finding{mistake("state directory", place.What, "correct "+place.Variable+", or the directory")}
	}
	if w.Err != nil {
		return []Finding{mistake("state directory", words(w.Err), "set WORKER_STATE_DIR to a directory of this user alone")}
	}
	var found []Finding
	if len(w.Running) == 0 {
		found = append(found, fine(CheckWorkers, "none runs in namespace %s of %s", w.Namespace, w.StateDir))
	}
	for i := range w.Running {
		found = append(found, w.Running[i].finding())
	}
	if len(w.Dead) > 0 {
		found = append(found, warning(CheckWorkers, few(w.Dead)+" ended without a stop, as one that is killed does",
			"look for the reason in its log and exit code; the next worker that starts here removes what it left"))
	}
	return found
}

func (w *Worker) finding() Finding {
	check := "worker " + w.Name
	switch {
	case w.Err != nil:
		return failure(check, words(w.Err), fmt.Sprintf(`"worker health --instance %s"; restart it if it stays silent`, w.Name))
	case !w.Live:
		return failure(check, w.Line, "restart it: its planner does not move")
	case !w.Ready:
		return warning(check, w.Line, "mend what it names; it goes on by itself then")
	}
	return fine(check, "%s", w.Line)
}
