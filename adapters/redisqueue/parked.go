package redisqueue

import "context"

// unpark makes the parked jobs due that this worker has handlers for. One page
// of the list of parked jobs is read at a time.
func (c *consumer) unpark(ctx context.Context, handles []string) {
	if len(handles) == 0 {
		return
	}
	known := make(map[string]bool, len(handles))
	for _, name := range handles {
		known[name] = true
	}
	var cursor uint64
	for ctx.Err() == nil {
		page, next, err := c.backend.client.HScan(ctx, c.parked, cursor, "", unparkPage).Result()
		if err != nil {
			if !passes(err) || ctx.Err() != nil {
				c.backend.config.Log.WarnContext(ctx, "parked jobs not made due", "queue", c.queue, "err", translate("unpark", err))
				return
			}
			c.backend.failures.failed(ctx, "unpark", err)
			pause(ctx, repeatMost)
			continue
		}
		args := []any{c.base, string(c.backend.config.Profile)}
		for i := 0; i+1 < len(page); i += 2 {
			if known[page[i+1]] {
				args = append(args, page[i])
			}
		}
		if len(args) > 2 {
			_, _ = c.backend.call(ctx, scriptNamed("unpark"), []string{c.meta, c.parked}, args)
		}
		if cursor = next; cursor == 0 {
			return
		}
	}
}

const unparkPage = 500
