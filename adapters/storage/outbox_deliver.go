package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// triedLife is how long after it was first handed over a row may be handed over
// again: what is left of a receipt's life covers the lease and what clocks
// differ.
const triedLife = domain.ReceiptLife - time.Minute

// triedInVain instead of a time tells that a row was handed over to a volatile
// queue which was gone, or out of reach, before its job was over.
const triedInVain = 0

// outboxRow is a row that was handed over to this relay.
type outboxRow struct {
	id                 int64
	epoch              string
	name               string
	data               []byte
	options            string
	createdUS, triedUS int64
}

// receipt tells the row from all others there ever were: of other namespaces, and
// of this or another database that gave out the same id.
func (row *outboxRow) receipt(namespace string) string {
	return "outbox/" + namespace + "/" + row.epoch + "/" + strconv.FormatInt(row.id, 10)
}

// job returns the row's job at the store's time now.
func (row *outboxRow) job(namespace string, queue domain.QueueName, now time.Time) (domain.NewJob, error) {
	options, err := decodeOptions(row.options)
	if err != nil {
		return domain.NewJob{}, err
	}
	if waited := now.Sub(time.UnixMicro(row.createdUS)); waited > 0 {
		options.Delay = max(options.Delay-waited, 0)
	}
	return domain.NewJob{
		Queue: queue, Name: row.name, Data: row.data, Options: options, Receipt: row.receipt(namespace), Again: row.triedUS == triedInVain,
	}, nil
}

// mayBeThere reports whether the row may have been delivered so long ago that
// its receipt is forgotten.
func (row *outboxRow) mayBeThere(now time.Time) bool {
	return row.triedUS != triedInVain && now.Sub(time.UnixMicro(row.triedUS)) >= triedLife
}

// isForEver reports whether the queue would refuse the job again.
func isForEver(err error) bool {
	return errors.Is(err, domain.ErrInvalid) || errors.Is(err, domain.ErrTooLarge)
}

// parcel is a row on its way, with its job.
type parcel struct {
	id   int64
	name string
	job  domain.NewJob
}

// deliver puts the rows on the queue, in order, and notes what is to become of
// them. An error holds the queue up; rows that did not get there wait again.
func (q *relayQueue) deliver(ctx context.Context, now *taken) error {
	parcels := q.pack(ctx, now)
	if len(parcels) == 0 {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, now.leaseEnd.Add(-q.relay.config.Lease/5))
	defer cancel()
	err := q.send(ctx, parcels)
	if isForEver(err) {
		for i := range parcels {
			err = q.send(ctx, parcels[i:i+1])
			if isForEver(err) {
				q.setAside(ctx, &parcels[i], rowRefused, err.Error())
				err = nil
			}
			if err != nil {
				parcels = parcels[i:]
				break
			}
		}
	}
	if err == nil {
		q.limit = min(2*q.limit, mostRows)
		return nil
	}
	for i := range parcels {
		q.aside = append(q.aside, asideRow{id: parcels[i].id, state: rowWaiting})
	}
	if errors.Is(err, ports.ErrQueueFull) {
		q.limit = max(len(parcels)/2, 1)
	}
	return fmt.Errorf("deliver: %w", err)
}

// pack returns the rows that are to be sent and sets the others aside.
func (q *relayQueue) pack(ctx context.Context, now *taken) []parcel {
	parcels := make([]parcel, 0, len(now.rows))
	for i := range now.rows {
		row := &now.rows[i]
		p := parcel{id: row.id, name: row.name}
		job, err := row.job(q.relay.outbox.config.Namespace, q.name, now.now)
		switch p.job = job; {
		case err != nil:
			q.setAside(ctx, &p, rowRefused, err.Error())
		case q.relay.config.Volatile:
			switch handed, over := q.relay.isHanded(job.Receipt); {
			case over:
				q.delete(job.Receipt, p.id)
			case !handed:
				parcels = append(parcels, p)
			}
		case row.mayBeThere(now.now):
			q.setAside(ctx, &p, rowUnknown, "it may have been delivered when it was first handed over, at "+
				time.UnixMicro(row.triedUS).UTC().Format(time.RFC3339)+", and no receipt would tell any more")
		default:
			parcels = append(parcels, p)
		}
	}
	return parcels
}

// isHanded reports whether the volatile queue has taken the job already, and
// whether it is over.
func (r *Relay) isHanded(receipt string) (handed, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, handed := r.handed[receipt]
	return handed, row.over
}

// setAside keeps the row for the operator.
func (q *relayQueue) setAside(ctx context.Context, p *parcel, state rowState, reason string) {
	reason = domain.CleanText(reason, domain.MaxReason)
	q.aside = append(q.aside, asideRow{id: p.id, state: state, reason: reason})
	log := q.relay.config.Log.With("queue", string(q.name), "row", p.id, "job_name", p.name, "reason", reason)
	if state == rowUnknown {
		log.WarnContext(ctx, "outbox row unknown")
		return
	}
	log.WarnContext(ctx, "outbox row refused")
}

// send enqueues the jobs, all or, if there is an error, it is not known which.
func (q *relayQueue) send(ctx context.Context, parcels []parcel) error {
	jobs := make([]domain.NewJob, len(parcels))
	for i := range parcels {
		jobs[i] = parcels[i].job
	}
	// Before the call, for a job may be over before the call is.
	q.follow(parcels)
	results, err := q.relay.config.Queue.Enqueue(ctx, jobs...)
	if err != nil {
		q.unfollow(parcels)
		return err
	}
	for i, result := range results {
		if status := result.Status; status == domain.DuplicateID || status == domain.Deduplicated {
			q.relay.config.Log.InfoContext(ctx, "outbox job not added", "queue", string(q.name), "row", parcels[i].id,
				"job_name", parcels[i].name, "status", status.String(), "job_id", string(result.ID))
		}
		switch {
		case !q.relay.config.Volatile:
			q.delivered = append(q.delivered, parcels[i].id)
		case result.Status == domain.DuplicateID:
			q.unfollow(parcels[i : i+1])
			q.delivered = append(q.delivered, parcels[i].id)
		default:
			// One that was deduplicated may be kept until the owner of its key is done.
		}
	}
	return nil
}

// follow makes the relay know the rows by their receipts, if they stay until
// their jobs are over.
func (q *relayQueue) follow(parcels []parcel) {
	if !q.relay.config.Volatile {
		return
	}
	q.relay.mu.Lock()
	defer q.relay.mu.Unlock()
	for i := range parcels {
		if receipt := parcels[i].job.Receipt; q.relay.handed[receipt].queue == nil {
			q.relay.handed[receipt] = handedRow{queue: q, id: parcels[i].id}
			q.handed++
		}
	}
}

func (q *relayQueue) unfollow(parcels []parcel) {
	q.relay.mu.Lock()
	defer q.relay.mu.Unlock()
	for i := range parcels {
		receipt := parcels[i].job.Receipt
		if row := q.relay.handed[receipt]; row.queue == q && !row.over {
			delete(q.relay.handed, receipt)
			q.handed--
		}
	}
}
