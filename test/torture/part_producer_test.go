package torture_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// produce adds the jobs, and notes those that were accepted.
func (p *part) produce() error {
	backend, err := p.backend()
	if err != nil {
		return err
	}
	defer backend.Close() //nolint:errcheck // the process ends
	file, err := os.OpenFile(p.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // each batch is synced
	go exitWithParent()
	pace := time.NewTicker(max(p.Every, time.Microsecond))
	defer pace.Stop()
	for n := 0; n < p.Count; n += p.Batch {
		jobs, keys, err := p.jobs(n, min(p.Batch, p.Count-n))
		if err != nil {
			return err
		}
		results, err := backend.Enqueue(context.Background(), jobs...)
		if err != nil {
			return err
		}
		if err := noteAccepted(file, results, keys); err != nil {
			return err
		}
		<-pace.C
	}
	return nil
}

// exitWithParent ends the process when the test that started it has ended.
func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

func (p *part) jobs(from, count int) ([]domain.NewJob, []string, error) {
	jobs, keys := make([]domain.NewJob, count), make([]string, count)
	for i := range jobs {
		keys[i] = fmt.Sprintf("%s-%d", p.Name, from+i)
		lasts := p.Least
		if p.Most > p.Least {
			lasts += rand.N(p.Most - p.Least)
		}
		data, err := json.Marshal(work{Key: keys[i], Lasts: lasts, Again: p.Again})
		if err != nil {
			return nil, nil, err
		}
		jobs[i] = domain.NewJob{Queue: queueName, Name: jobName, Data: data}
		if p.OwnIDs {
			jobs[i].Options.ID = domain.JobID("j-" + keys[i])
		}
		if p.Keep > 0 {
			jobs[i].Options.KeepCompleted = domain.KeepLast(p.Keep)
		}
	}
	return jobs, keys, nil
}

// noteAccepted writes the ids in one call and waits until they are on disk.
func noteAccepted(file *os.File, results []domain.EnqueueResult, keys []string) error {
	var lines strings.Builder
	for i, result := range results {
		if result.Status != domain.Accepted {
			return fmt.Errorf("job %s is not accepted: %s of %s", keys[i], result.Status, result.ID)
		}
		fmt.Fprintf(&lines, "%s %s\n", result.ID, keys[i])
	}
	if _, err := file.WriteString(lines.String()); err != nil {
		return err
	}
	return file.Sync()
}
