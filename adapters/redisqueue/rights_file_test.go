package redisqueue_test

import (
	"bytes"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

var update = flag.Bool("update", false, "rewrite deploy/redis-acl.conf")

const rightsFile = "../../deploy/redis-acl.conf"

// passwordHash is what stands in the file for the hash of a password. Redis
// does not start until it is replaced.
const passwordHash = "#SHA256-OF-THE-PASSWORD"

const rightsHead = `# What a worker of Takt may do in Redis, and no more: a user for redis.conf. Made from the scripts and the client in
# adapters/redisqueue; ` + "`make generate`" + ` rewrites it.
#
# Take it into redis.conf with "include /etc/redis/redis-acl.conf", and put the password's hash into it:
#   printf %s "$PASSWORD" | sha256sum
# Until then Redis refuses to start. Close the default user once every client has one of its own: "user default off".
#
# The same words are right for Redis 6.2, 7.0, 7.2 and later: Takt does not send CLIENT SETINFO, which is new in 7.2.
# With WORKER_QUEUE_PREFIX=jobs the keys are ~jobs:* ~takt:{jobs}:*, with {jobs} they are ~{jobs}:* ~takt:{jobs}:*.
# INFO tells the version and maxmemory-policy; without it the worker warns that it may not ask, and goes on.
# CLUSTER SLOTS is asked of a cluster alone. Sentinels have users of their own, which need no more than this:
#   user takt on #SHA256-OF-ANOTHER-PASSWORD resetchannels resetkeys -@all +auth +hello +sentinel|get-master-addr-by-name
# Workers do not need to see who is connected, or which keys there are. Operators who list workers or remove orphaned
# jobs use a user of their own that has +client|list and +scan as well.
#
`

// rights returns the file as it should be.
func rights(t *testing.T, client *redis.Client) string {
	t.Helper()
	scripts, commands := scriptCommands(t, client), clientCommands(t, client)
	var out strings.Builder
	out.WriteString(rightsHead)
	out.WriteString(wrapped("Of the client:", commands) + wrapped("Of the scripts:", scripts) + "\n")
	out.WriteString("user takt on " + passwordHash + " resetchannels resetkeys ~bull:* ~takt:{bull}:* -@all")
	all := append(slices.Clone(commands), scripts...)
	slices.Sort(all)
	for _, command := range slices.Compact(all) {
		out.WriteString(" +" + command)
	}
	out.WriteByte('\n')
	return out.String()
}

// wrapped returns a comment of the words in lines of 110 bytes.
func wrapped(about string, words []string) string {
	out, line := "", "# "+about
	for _, word := range words {
		if len(line)+len(word) > 110 {
			out, line = out+line+"\n", "#  "
		}
		line += " " + word
	}
	return out + line + "\n"
}

// scriptCommands returns the commands that the scripts name: the words in
// capitals in quotes that the server knows as commands.
func scriptCommands(t *testing.T, client *redis.Client) []string {
	t.Helper()
	word := regexp.MustCompile(`'([A-Z]{3,})'`)
	words := map[string]bool{}
	err := fs.WalkDir(redisqueue.LuaFiles(), "lua", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(redisqueue.LuaFiles(), path)
		for _, match := range word.FindAllSubmatch(text, -1) {
			words[strings.ToLower(string(match[1]))] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return known(t, client, slices.Sorted(maps.Keys(words)))
}

// clientCommands returns the commands that the package sends itself.
func clientCommands(t *testing.T, client *redis.Client) []string {
	t.Helper()
	// What a connection begins with, and scripts are called by.
	words := map[string]bool{"hello": true, "auth": true, "select": true, "client|setname": true, "evalsha": true, "eval": true}
	// Methods of the client that are no commands, variants of commands, what
	// sentinels are asked, and what only operators need.
	other := map[string]string{
		"close": "", "process": "", "pipelined": "", "zaddnx": "zadd", "cluster": "cluster|slots", "sentinel": "",
		"clientlist": "", "scan": "", "xrangen": "xrange", "configget": "",
	}
	method := regexp.MustCompile(`(?:\bclient\.|\bp\.|\.client\.)([A-Z]\w+)\((?:e\.)?ctx|New\w+Cmd\((?:e\.)?ctx, "(\w+)"|\.Do\((?:e\.)?ctx, "(\w+)"`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range method.FindAllSubmatch(text, -1) {
			name := strings.ToLower(string(bytes.Join(match[1:], nil)))
			if variant, is := other[name]; is {
				name = variant
			}
			if name != "" {
				words[name] = true
			}
		}
	}
	commands := slices.Sorted(maps.Keys(words))
	if unknown := len(commands) - len(known(t, client, commands)); unknown != 0 {
		t.Fatalf("%d of the methods %v are no commands: name what they send", unknown, commands)
	}
	return commands
}

// known returns those of the words that the server knows as commands.
func known(t *testing.T, client *redis.Client, words []string) []string {
	t.Helper()
	args := []any{"COMMAND", "INFO"}
	for _, word := range words {
		args = append(args, word)
	}
	infos, err := client.Do(t.Context(), args...).Slice()
	if err != nil || len(infos) != len(words) {
		t.Fatalf("COMMAND INFO = %v, %v, want one answer for each of %v", infos, err, words)
	}
	var commands []string
	for i, info := range infos {
		if info != nil {
			commands = append(commands, words[i])
		}
	}
	return commands
}

func TestTheRightsFileNamesWhatIsUsed(t *testing.T) {
	want := rights(t, redistest.Start(t).Client())
	if *update {
		if err := os.WriteFile(rightsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(rightsFile)
	if err != nil || string(got) != want {
		t.Errorf("deploy/redis-acl.conf is not what the scripts use, %v: run make generate", err)
	}
}

func TestTheSurveyAsksForWhatTheClientSends(t *testing.T) {
	want := slices.DeleteFunc(clientCommands(t, redistest.Start(t).Client()), func(command string) bool { return command == "cluster|slots" })
	if got := redisqueue.ClientCommands(); !slices.Equal(got, want) {
		t.Errorf("clientCommands = %v, want %v", got, want)
	}
}
