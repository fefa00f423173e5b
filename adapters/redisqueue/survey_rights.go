package redisqueue

import (
	"context"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Rights are what the user of the connection lacks of what a worker needs, the
// words of deploy/redis-acl.conf.
type Rights struct {
	// Known tells that the server could say: Redis 7 and newer can.
	Known bool
	// Commands are those that are refused, in small letters.
	Commands []string
	// Keys are the patterns of keys that are refused.
	Keys []string

	// settings tells that CONFIG GET is refused, which a worker does not need.
	settings bool
}

// Complete tells that nothing is known to be lacking.
func (r *Rights) Complete() bool { return len(r.Commands) == 0 && len(r.Keys) == 0 }

// clientCommands are the commands that the package sends itself, for a server
// that is no cluster. A test finds them in the source.
func clientCommands() []string {
	return strings.Fields(`auth bzpopmin client|setname del eval evalsha exists get hello hgetall hlen hmget hscan info llen
		lrange mget ping select time xrange xread xtrim zadd zcard zrange zrevrange zscore`)
}

// settingsCommand tells settings of the server.
const settingsCommand = "config|get"

var luaCommand = regexp.MustCompile(`'([A-Z]{3,})'`)

// neededCommands are what the client and the scripts send, and words of the
// scripts that are no commands.
//
//nolint:gochecknoglobals // they follow from the scripts
var neededCommands = sync.OnceValues(func() ([]string, error) {
	words := map[string]bool{"xinfo|stream": true}
	for _, command := range clientCommands() {
		words[command] = true
	}
	err := fs.WalkDir(luaFiles, "lua", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(luaFiles, path)
		for _, match := range luaCommand.FindAllSubmatch(text, -1) {
			words[strings.ToLower(string(match[1]))] = true
		}
		return err
	})
	return slices.Sorted(maps.Keys(words)), err
})

// surveyRights asks about all commands, once about BullMQ's keys and once about
// Takt's own.
func (b *Backend) surveyRights(ctx context.Context, s *Survey) error {
	queues, known, err := b.refusedAbout(ctx, b.keys.prefix+":void")
	if refused(err) {
		// Without scripts there is nothing that a worker could do.
		s.Rights = Rights{Known: true, Commands: []string{"eval"}}
		return nil
	}
	if err != nil || !known {
		return err
	}
	own, _, err := b.refusedAbout(ctx, b.keys.void())
	if err != nil {
		return err
	}
	patterns := [2]string{b.keys.prefix + ":*", strings.TrimSuffix(b.keys.own, b.config.Namespace+":") + "*"}
	s.Rights = rightsOf(queues, own, patterns)
	return nil
}

// refusedAbout returns the commands that are refused about the key, and whether
// the server can tell.
func (b *Backend) refusedAbout(ctx context.Context, key string) (refused []string, known bool, err error) {
	needed, err := neededCommands()
	if err != nil {
		return nil, false, err
	}
	args := make([]any, 0, len(needed)+2)
	args = append(args, key, settingsCommand)
	for _, command := range needed {
		args = append(args, command)
	}
	reply, err := scriptNamed("survey_rights").Eval(ctx, b.client, nil, args...).Result()
	if err != nil {
		return nil, false, err
	}
	list, known := reply.([]any)
	for _, one := range list {
		if command, ok := one.(string); ok {
			refused = append(refused, command)
		}
	}
	return refused, known, nil
}

// readers are commands about a key that any worker needs: to be refused all of
// them is to be refused the key.
func readers() []string { return []string{"exists", "get", "hlen", "llen", "zcard"} }

// keyless are the commands that are about no key.
func keyless() []string {
	return []string{"auth", "client|setname", "eval", "evalsha", "hello", "info", "ping", "select", "time"}
}

// rightsOf tells what is lacking, of what is refused about both kinds of keys.
// Of keys that are refused altogether it does not say which commands would be.
func rightsOf(queues, own []string, patterns [2]string) Rights {
	rights := Rights{Known: true, settings: slices.Contains(queues, settingsCommand)}
	commands := map[string]bool{}
	for i, list := range [][]string{queues, own} {
		judged := list
		if containsAll(list, readers()) {
			rights.Keys = append(rights.Keys, patterns[i])
			judged = slices.DeleteFunc(slices.Clone(list), func(command string) bool { return !slices.Contains(keyless(), command) })
		}
		for _, command := range judged {
			commands[command] = true
		}
	}
	delete(commands, settingsCommand)
	rights.Commands = slices.Sorted(maps.Keys(commands))
	return rights
}

func containsAll(list, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(one string) bool { return !slices.Contains(list, one) })
}
