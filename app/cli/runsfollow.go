package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
)

// followPause is how often a history is asked for news.
const followPause = 500 * time.Millisecond

// follower prints decisions as they are made.
type follower struct {
	*session

	from   *past
	filter domain.RunFilter
	show   func([]domain.Record) error
	// shown are the records that the first listing showed.
	shown map[int64]bool
	// away tells that the history does not answer, and that this was said.
	away bool
}

// followRuns prints the latest lines, and decisions as they are made, until
// it is interrupted or its reader went away. A database that does not answer is
// waited for.
func (s *session) followRuns(ctx context.Context, from *past, listing history.Listing, show func([]domain.Record) error) error {
	f := &follower{session: s, from: from, filter: listing.Filter, show: show, shown: map[int64]bool{}}
	f.filter.Events, f.filter.Limit = history.EventsOf(listing.States), domain.DefaultRunLimit
	if len(listing.States) == 0 {
		f.filter.Events = domain.DecisionEvents()
	}
	var err error
	if f.filter.AfterID, err = latestID(ctx, from); err != nil {
		return err
	}
	if err := f.begin(ctx, listing); err != nil {
		return err
	}
	for s.out.err == nil { // Else the reader has had enough: see output.
		more, err := f.next(ctx)
		s.out.flush()
		if ctx.Err() != nil {
			return endOfFollow(ctx)
		}
		if err != nil {
			return err
		}
		if !more {
			pause(ctx, followPause)
		}
	}
	return nil
}

// begin prints the latest lines, the newest last.
func (f *follower) begin(ctx context.Context, listing history.Listing) error {
	found, err := history.List(ctx, f.from, listing)
	if err != nil {
		return err
	}
	slices.Reverse(found.Records)
	for i := range found.Records {
		f.shown[found.Records[i].ID] = true
	}
	return f.show(found.Records)
}

// next prints what has been decided since, and reports whether there was
// anything.
func (f *follower) next(ctx context.Context) (more bool, err error) {
	news, err := f.from.Query(ctx, f.filter)
	if err != nil {
		return false, f.failed(err)
	}
	f.away = false
	if len(news) == 0 {
		return false, nil
	}
	f.filter.AfterID = news[len(news)-1].ID
	return true, f.show(slices.DeleteFunc(news, func(r domain.Record) bool { return f.shown[r.ID] }))
}

// failed says once that the database is away; other errors end the follow.
func (f *follower) failed(err error) error {
	if f.from.worker != nil || !errors.Is(err, ports.ErrUnavailable) {
		return err
	}
	if !f.away {
		f.say("the history does not answer, waiting for it: %s", printableText(err.Error()))
	}
	f.away = true
	return nil
}

// latestID returns the number of the record that was appended last: what is
// appended after it is news.
func latestID(ctx context.Context, from *past) (int64, error) {
	const fromTheFirst = -1
	records, err := from.Query(ctx, domain.RunFilter{Limit: domain.DefaultRunLimit})
	latest := int64(fromTheFirst)
	for i := range records {
		latest = max(latest, records[i].ID)
	}
	return latest, err
}

// endOfFollow makes an interrupt the ordinary end.
func endOfFollow(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return nil
	}
	return context.Cause(ctx)
}

// pause returns after d or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
