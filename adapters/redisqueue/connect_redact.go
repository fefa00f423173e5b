package redisqueue

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// redactor takes the password out of what servers and proxies say of AUTH and
// HELLO: one that does not know the command repeats its arguments.
type redactor struct {
	password domain.Secret
}

// DialHook changes nothing.
func (redactor) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook changes nothing: no password is sent in a pipeline.
func (redactor) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook changes the error of a command that carried the password.
func (r redactor) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil || (cmd.Name() != "auth" && cmd.Name() != "hello") {
			return err
		}
		clean := r.redact(err)
		cmd.SetErr(clean)
		return clean
	}
}

// repetition is what Redis puts between its words and the arguments, of which
// it cuts long ones: the password need not be there as a whole.
const repetition = ", with args"

func (r redactor) redact(err error) error {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return err
	}
	text := reply.Error()
	code, _, _ := strings.Cut(text, " ")
	if slices.Contains([]string{"LOADING", "NOAUTH", "NOPERM", "NOPROTO", "WRONGPASS"}, code) {
		return err // in words of Redis alone
	}
	words, _, repeats := strings.Cut(text, repetition)
	switch {
	case strings.Contains(words, r.password.Reveal()):
		return refusal("ERR refused to authenticate, in words that hold the password")
	case repeats:
		return refusal(words)
	}
	return err
}

// refusal is an error reply in words of ours.
type refusal string

// Error returns the words.
func (r refusal) Error() string { return string(r) }

// RedisError marks a reply of the server.
func (refusal) RedisError() {}
