package redisqueue

import "context"

// unparkPage is how many parked jobs are looked at in one call.
const unparkPage = 500

// unpark makes the parked jobs due that this worker has handlers for, a page
// of the list of parked jobs at a time.
func (c *consumer) unpark(ctx context.Context, handles []string) {
	if len(handles) == 0 {
		return
	}
	known := make(map[string]bool, len(handles))
	for _, name := range handles {
		known[name] = true
	}
	var cursor uint64
	for more := true; more; more = cursor != 0 {
		var page []string
		var err error
		if page, cursor, err = c.parkedPage(ctx, cursor); err == nil {
			err = c.unparkSome(ctx, page, known)
		}
		if err != nil {
			if ctx.Err() == nil {
				c.backend.config.Log.WarnContext(ctx, "parked jobs not made due", "queue", c.queue, "err", translate("unpark", err))
			}
			return
		}
	}
}

// parkedPage returns ids of parked jobs, each followed by the job's name, and
// where the next page begins. It waits for a server that is away.
func (c *consumer) parkedPage(ctx context.Context, cursor uint64) (page []string, next uint64, err error) {
	for {
		page, next, err = c.backend.client.HScan(ctx, c.parked, cursor, "", unparkPage).Result()
		if err == nil || !passes(err) || ctx.Err() != nil {
			return page, next, err
		}
		c.backend.failures.failed(ctx, "unpark", err)
		pause(ctx, repeatMost)
	}
}

// unparkSome makes those jobs of the page due whose names are known.
func (c *consumer) unparkSome(ctx context.Context, page []string, known map[string]bool) error {
	args := []any{c.base, string(c.backend.config.Profile)}
	before := len(args)
	for i := 0; i+1 < len(page); i += 2 {
		if known[page[i+1]] {
			args = append(args, page[i])
		}
	}
	if len(args) == before {
		return nil
	}
	_, err := c.backend.call(ctx, scriptNamed("unpark"), []string{c.meta, c.parked}, args)
	return err
}
