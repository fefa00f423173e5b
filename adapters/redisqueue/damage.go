package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	// maxNames bounds how many arguments of a failed call may be names of what
	// is damaged, maxNameLength how long they are at most.
	maxNames      = 400
	maxNameLength = 512
)

// named adds the key to an error of a server that met something else under it:
// Redis does not say which key that is.
func (b *Backend) named(ctx context.Context, keys []string, args []any, err error) error {
	complaint, ok := errors.AsType[redis.Error](err)
	if !ok || passes(err) || len(keys) == 0 || namesKey(complaint) {
		return err
	}
	names := make([]any, 0, len(keys)+len(args)+2)
	names = append(names, b.keys.prefix+":", b.keys.own)
	for _, key := range keys {
		names = append(names, key)
	}
	for _, arg := range args {
		if text := textOf(arg); text != "" && len(text) <= maxNameLength && len(names) < maxNames {
			names = append(names, text)
		}
	}
	reply, failed := b.run(ctx, scriptNamed("damage"), keys[len(keys)-1:], names)
	key, _ := reply.(string)
	if failed != nil || key == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, key)
}

// namesKey tells whether a script has named the key (lua/include/raise.lua). A
// Redis from 7 on says behind that where in the script it was.
func namesKey(complaint redis.Error) bool {
	words, _, _ := strings.Cut(complaint.Error(), " script: ")
	return strings.HasSuffix(words, ")")
}

// textOf returns the argument of a script if it is text.
func textOf(arg any) string {
	switch arg := arg.(type) {
	case string:
		return arg
	case *string:
		return *arg
	}
	return ""
}
