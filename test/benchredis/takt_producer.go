package main

import (
	"context"
	"errors"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// add puts jobs on the queue, in bulk or at a steady pace one by one.
func add(ctx context.Context, what spec, t *talk) (err error) {
	backend, err := openBackend(what)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	if what.Rate == 0 && what.Warm > 0 {
		// Scripts are loaded and compiled by then.
		warming := what
		warming.Queue, warming.Jobs = what.Queue+"-warm", what.Warm
		if err := warm(ctx, backend, warming); err != nil {
			return err
		}
	}
	if what.Pages > 0 {
		if err := addBulk(ctx, backend, what); err != nil {
			return err
		}
	}
	if err := t.ready(ctx); err != nil {
		return err
	}
	began := takeMoment()
	var latencies []float64
	switch {
	case what.Pages > 0:
		latencies, err = readPages(ctx, backend, what)
	case what.Flow > 0:
		latencies, err = addFlows(ctx, backend, what)
	case what.Rate > 0:
		err = addPaced(ctx, backend, what)
	default:
		err = addBulk(ctx, backend, what)
	}
	if err != nil {
		return err
	}
	end := takeMoment()
	return t.report(ctx, report{
		Jobs: what.Jobs, Window: what.Jobs, Seconds: end.at.Sub(began.at).Seconds(),
		CPU: (end.cpu - began.cpu).Seconds(), Mallocs: end.mallocs - began.mallocs, Latencies: latencies,
	})
}

func addBulk(ctx context.Context, to ports.Enqueuer, what spec) error {
	batch := make([]domain.NewJob, what.Chunk)
	for left := what.Jobs; left > 0; left -= what.Chunk {
		batch = batch[:min(left, what.Chunk)]
		data := newPayload(what.Bytes, 0)
		for i := range batch {
			batch[i] = domain.NewJob{Queue: domain.QueueName(what.Queue), Name: what.Name, Data: data}
		}
		if _, err := to.Enqueue(ctx, batch...); err != nil {
			return err
		}
	}
	return nil
}

func addPaced(ctx context.Context, to ports.Enqueuer, what spec) error {
	began := time.Now()
	for i := range what.Jobs {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(what.Rate))
		if err := pause(ctx, time.Until(due)); err != nil {
			return err
		}
		job := domain.NewJob{Queue: domain.QueueName(what.Queue), Name: what.Name, Data: newPayload(what.Bytes, monotonic())}
		if _, err := to.Enqueue(ctx, job); err != nil {
			return err
		}
	}
	return nil
}
