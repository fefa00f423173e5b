package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// setAside marks rows of the outbox, the first of which has the ID 1, as a relay does
// that has set them aside.
func setAside(t *testing.T, db *storage.DB, state int, reason string, ids ...int64) {
	t.Helper()
	for _, id := range ids {
		execSQL(t, db, fmt.Sprintf("UPDATE outbox SET state = %d, reason = '%s', tried_us = 1000000 WHERE id = %d", state, reason, id))
	}
}

// aside returns the rows that the filter selects, as "queue/id state".
func aside(t *testing.T, outbox *storage.Outbox, filter storage.AsideFilter) (rows []storage.AsideRow, texts []string) {
	t.Helper()
	err := outbox.Aside(t.Context(), filter, func(page []storage.AsideRow) error {
		rows = append(rows, page...)
		return nil
	})
	if err != nil {
		t.Fatalf("Aside(%+v) = %v, want no error", filter, err)
	}
	for i := range rows {
		texts = append(texts, fmt.Sprintf("%s/%d %s", rows[i].Queue, rows[i].ID, rows[i].State))
	}
	return rows, texts
}

func TestOutbox_listsRowsThatAreSetAside(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		commitJobs(t, db, outbox, numbered(0, 5)...)
		commitJobs(t, db, outbox, domain.NewJob{Queue: "box", Name: "pack", Data: []byte(`"x"`)})
		commitJobs(t, db, db.Outbox(storage.OutboxConfig{Namespace: "other"}), mailJob("7"))
		setAside(t, db, 2, "too large", 1, 3, 6, 7)
		setAside(t, db, 3, "who knows", 4)
		for name, c := range map[string]struct {
			filter storage.AsideFilter
			want   []string
		}{
			"all":     {storage.AsideFilter{}, []string{"box/6 refused", "mail/1 refused", "mail/3 refused", "mail/4 unknown"}},
			"queue":   {storage.AsideFilter{Queue: "mail"}, []string{"mail/1 refused", "mail/3 refused", "mail/4 unknown"}},
			"state":   {storage.AsideFilter{State: storage.AsideUnknown}, []string{"mail/4 unknown"}},
			"both":    {storage.AsideFilter{Queue: "box", State: storage.AsideUnknown}, nil},
			"ids":     {storage.AsideFilter{IDs: []int64{7, 6, 4, 2, 99}}, []string{"box/6 refused", "mail/4 unknown"}},
			"limit":   {storage.AsideFilter{Limit: 2}, []string{"box/6 refused", "mail/1 refused"}},
			"no row":  {storage.AsideFilter{Queue: "nowhere"}, nil},
			"far off": {storage.AsideFilter{Limit: 100}, []string{"box/6 refused", "mail/1 refused", "mail/3 refused", "mail/4 unknown"}},
		} {
			if _, got := aside(t, outbox, c.filter); !slices.Equal(got, c.want) {
				t.Errorf("%s: Aside = %q, want %q", name, got, c.want)
			}
		}
		row, _ := aside(t, outbox, storage.AsideFilter{Queue: "box"})
		if r := row[0]; r.Name != "pack" || r.Reason != "too large" || r.Bytes != 3 || r.Created.IsZero() || r.Tried.Unix() != 1 {
			t.Errorf("the row is %+v, want what was written", r)
		}
		stop := errors.New("enough")
		if err := outbox.Aside(t.Context(), storage.AsideFilter{}, func([]storage.AsideRow) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("Aside = %v, want the error of the caller", err)
		}
	})
}

func TestOutbox_handsOverAgainWhatIsRetried(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		outbox := db.Outbox(storage.OutboxConfig{})
		commitJobs(t, db, outbox, numbered(0, 4)...)
		setAside(t, db, 2, "too large", 1, 2)
		setAside(t, db, 3, "who knows", 3)
		rows, _ := aside(t, outbox, storage.AsideFilter{IDs: []int64{1, 3}})
		changed, err := outbox.RetryAside(t.Context(), rows)
		slices.Sort(changed)
		if diff := cmp.Diff([]int64{1, 3}, changed); diff != "" || err != nil {
			t.Errorf("RetryAside = %v (-want +got):\n%s", err, diff)
		}
		if again, err := outbox.RetryAside(t.Context(), rows); len(again) > 0 || err != nil {
			t.Errorf("RetryAside of rows that wait = %v, %v, want none", again, err)
		}
		queue := &recorder{}
		startRelay(t, db, outbox, storage.RelayConfig{Queue: queue})
		queue.await(t, 3)
		if got := queue.data("mail"); !slices.Equal(got, []string{"0", "2", "3"}) {
			t.Errorf("the queue got %q, want the two rows and the one that waited", got)
		}
		eventually(t, "rows are deleted", func() bool { return countRows(t, db) == 1 })
	})
}

// Very many rows are gone through in parts, and none is passed over as others go.
func TestOutbox_dropsVeryManyRows(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		const count = 1203
		outbox := db.Outbox(storage.OutboxConfig{})
		commitJobs(t, db, outbox, numbered(0, count+1)...)
		execSQL(t, db, "UPDATE outbox SET state = 2 WHERE id <= "+strconv.Itoa(count))
		pages, dropped := 0, 0
		err := outbox.Aside(t.Context(), storage.AsideFilter{}, func(rows []storage.AsideRow) error {
			pages++
			changed, err := outbox.DropAside(context.WithoutCancel(t.Context()), rows)
			dropped += len(changed)
			return err
		})
		if err != nil || dropped != count || pages != 3 {
			t.Errorf("%d rows were dropped in %d parts (%v), want %d in 3", dropped, pages, err, count)
		}
		wantRows(t, db, domain.DefaultNamespace, "mail/0 x1")
		if changed, err := outbox.DropAside(t.Context(), nil); changed != nil || err != nil {
			t.Errorf("DropAside(nothing) = %v, %v, want nothing", changed, err)
		}
	})
}
