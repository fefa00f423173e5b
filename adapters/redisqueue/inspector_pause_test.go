package redisqueue_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func TestAPauseLeavesReadyJobsInTheListOfItsProfile(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name         string
		profile      redisqueue.Profile
		before       []string
		wait, paused []string
	}{
		{"v5 moves them aside", redisqueue.ProfileV5, []string{"RPUSH bull:q:wait b a"}, nil, []string{"b", "a"}},
		{
			"v5 keeps both lists", redisqueue.ProfileV5,
			[]string{"RPUSH bull:q:wait d c", "RPUSH bull:q:paused b a"},
			nil,
			[]string{"d", "c", "b", "a"},
		},
		{
			"v5 pauses what is paused in the other way", redisqueue.ProfileV5,
			[]string{"HSET bull:q:meta paused 1", "RPUSH bull:q:wait b a"},
			nil,
			[]string{"b", "a"},
		},
		{"v6 leaves them", redisqueue.ProfileV6, []string{"RPUSH bull:q:wait b a"}, []string{"b", "a"}, nil},
		{
			"v6 brings back what was aside", redisqueue.ProfileV6,
			[]string{"RPUSH bull:q:wait d c", "RPUSH bull:q:paused b a"},
			[]string{"d", "c", "b", "a"},
			nil,
		},
		{
			"the version of the fleet decides", redisqueue.ProfileAuto,
			[]string{"HSET bull:q:meta version bullmq:6.7.0", "RPUSH bull:q:wait a"},
			[]string{"a"},
			nil,
		},
		{"a fleet of no version is v5", redisqueue.ProfileAuto, []string{"RPUSH bull:q:wait a"}, nil, []string{"a"}},
		{"an empty queue has no list", redisqueue.ProfileV5, nil, nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, func(config *redisqueue.Config) { config.Profile = c.profile })
			r.do(c.before...)
			r.do("ZADD bull:q:marker 0 0")
			already := r.rdb.HExists(t.Context(), "bull:q:meta", "paused").Val()
			r.apply(domain.Operation{Kind: domain.OpPause})
			r.wantList("bull:q:wait", c.wait...)
			r.wantList("bull:q:paused", c.paused...)
			if got := r.rdb.HGet(t.Context(), "bull:q:meta", "paused").Val(); got != "1" {
				t.Errorf("meta.paused = %q, want 1", got)
			}
			if already {
				return
			}
			r.wantKey("bull:q:marker", false)
			r.wantEvents("paused")
		})
	}
}

func TestAResumeBringsReadyJobsTogetherInOrder(t *testing.T) {
	cases := []struct {
		name         string
		wait, paused string
		want         []string
	}{
		{"what v5 set aside", "", "b a", []string{"b", "a"}},
		{"what v6 left", "b a", "", []string{"b", "a"}},
		{"both lists", "d c", "b a", []string{"d", "c", "b", "a"}},
		{"nothing", "", "", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRawQueue(t, nil)
			r.do("HSET bull:q:meta paused 1")
			if c.wait != "" {
				r.do("RPUSH bull:q:wait " + c.wait)
			}
			if c.paused != "" {
				r.do("RPUSH bull:q:paused " + c.paused)
			}
			r.apply(domain.Operation{Kind: domain.OpResume})
			r.wantList("bull:q:wait", c.want...)
			r.wantKey("bull:q:paused", false)
			r.wantKey("bull:q:marker", len(c.want) > 0)
			r.wantEvents("resumed")
			r.apply(domain.Operation{Kind: domain.OpResume})
			r.wantList("bull:q:wait", c.want...)
		})
	}
}

func TestAResumeTellsWorkersOfDelayedJobs(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:meta paused 1", "ZADD bull:q:delayed 8192000 a")
	r.apply(domain.Operation{Kind: domain.OpResume})
	if got := r.rdb.ZScore(t.Context(), "bull:q:marker", "1").Val(); got != 2000 {
		t.Errorf("score of the delay marker = %v, want 2000", got)
	}
}

func TestLongListsAreMergedInSlices(t *testing.T) {
	r := newRawQueue(t, nil)
	var wait, paused, want []string
	for i := range 2500 {
		wait = append(wait, "w"+strconv.Itoa(i))
		paused = append(paused, "p"+strconv.Itoa(i))
	}
	want = append(slices.Clone(wait), paused...)
	for from := 0; from < len(wait); from += 500 {
		r.do("RPUSH bull:q:wait "+strings.Join(wait[from:from+500], " "), "RPUSH bull:q:paused "+strings.Join(paused[from:from+500], " "))
	}
	r.apply(domain.Operation{Kind: domain.OpPause})
	r.wantList("bull:q:paused", want...)
	r.apply(domain.Operation{Kind: domain.OpResume})
	r.wantList("bull:q:wait", want...)
	r.wantEvents("paused", "resumed")
}
