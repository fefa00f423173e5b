package runner_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/runner"
)

func TestBatcherJoinsCallsThatComeMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b := runner.NewBatcher(4, func(_ context.Context, queries []int) ([]int, error) {
			sizes = append(sizes, len(queries))
			time.Sleep(time.Second)
			answers := make([]int, len(queries))
			for i, query := range queries {
				answers[i] = query * 2
			}
			return answers, nil
		})
		var calls sync.WaitGroup
		for i := range 10 {
			calls.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if answer, err := b.Do(t.Context(), i); answer != 2*i || err != nil {
					t.Errorf("Do(%d) = %d, %v, want %d", i, answer, err, 2*i)
				}
			})
		}
		calls.Wait()
		if diff := cmp.Diff([]int{1, 4, 4, 1}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

func TestBatcherTellsAllOfAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := runner.NewBatcher(10, func(context.Context, []int) ([]int, error) {
			time.Sleep(time.Second)
			return nil, errBoom
		})
		var calls sync.WaitGroup
		for i := range 5 {
			calls.Go(func() {
				if _, err := b.Do(t.Context(), i); !errors.Is(err, errBoom) {
					t.Errorf("Do(%d) = %v, want %v", i, err, errBoom)
				}
			})
		}
		calls.Wait()
	})
}

// Whoever leads a batch must not take the others along when it gives up.
func TestBatchLastsAsLongAsAnyCallerWantsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := runner.NewBatcher(10, func(ctx context.Context, queries []int) ([]int, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(10 * time.Second):
				return queries, nil
			}
		})
		ended := func(after time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(context.Background(), after)
			t.Cleanup(cancel)
			return ctx
		}
		var calls sync.WaitGroup
		do := func(ctx context.Context, query int, want error) {
			calls.Go(func() {
				if _, err := b.Do(ctx, query); !errors.Is(err, want) {
					t.Errorf("Do(%d) = %v, want %v", query, err, want)
				}
			})
			synctest.Wait()
		}
		do(t.Context(), 0, nil) // while this is under way the others gather
		do(ended(11*time.Second), 1, nil)
		do(t.Context(), 2, nil)
		calls.Wait()

		do(t.Context(), 3, nil)
		do(ended(11*time.Second), 4, context.Canceled)
		do(ended(12*time.Second), 5, context.Canceled)
		calls.Wait()
	})
}
