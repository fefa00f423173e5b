package redisqueue_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// layered is a script whose functions call one another.
const layered = `-- @hot twice run
local call, LIMIT = redis.call, 3
local seen = {}

-- twice is needed by most calls.
local function twice(n)
  return 2 * n
end

-- thrice is not; its name stands in a 'thrice' string and in seen.thrice.
local function thrice(n)
  seen.thrice = 'thrice'
  return twice(n) + n + LIMIT - 3
end

local function nine(n)
  return thrice(thrice(n))
end

local function run(what, n)
  if what == 'nine' then
    return nine(n) -- not thrice
  end
  return twice(n)
end

local result = run(ARGV[1], tonumber(ARGV[2]))
return { result, seen.thrice or 'untouched', tostring(cold and rawget(cold, 'nine') ~= nil) }
`

func TestColdFunctionsAreMadeWhenOneIsCalled(t *testing.T) {
	client := redistest.Start(t).Client()
	source, err := redisqueue.CoolDown(layered)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		want []any
	}{
		{"two", []any{int64(10), "untouched", "false"}},
		{"nine", []any{int64(45), "thrice", "true"}},
	} {
		got, err := client.Eval(t.Context(), source, nil, c.what, 5).Slice()
		if err != nil || len(got) != 3 || got[0] != c.want[0] || got[1] != c.want[1] || got[2] != c.want[2] {
			t.Errorf("%s: %v, %v, want %v; the script is\n%s", c.what, got, err, c.want, source)
		}
	}
}

func TestAHotFunctionThatIsMissingIsAnError(t *testing.T) {
	if source, err := redisqueue.CoolDown("-- @hot gone\nlocal function here()\nend\n"); err == nil {
		t.Errorf("CoolDown() = %q, want an error", source)
	}
}

func TestAScriptWithoutHotFunctionsStaysAsItIs(t *testing.T) {
	const source = "local function here()\nend\nreturn here()\n"
	if got, err := redisqueue.CoolDown(source); err != nil || got != source {
		t.Errorf("CoolDown() = %q, %v, want it unchanged", got, err)
	}
}

// Cold functions cost more than all the rest of a call, so that a batch of
// plain jobs must not need any.
func TestABatchOfPlainJobsCallsNoColdFunction(t *testing.T) {
	server := redistest.Start(t)
	backend := open(t, server, nil)
	job := domain.NewJob{Queue: "mail", Name: "send", Data: []byte(`{}`)}
	if _, err := backend.Enqueue(t.Context(), job, job, job, job, job, job, job, job); err != nil {
		t.Fatal(err)
	}
	const made = "__index = function(made, wanted)\n"
	source := redisqueue.ScriptSource("move")
	if strings.Count(source, made) != 1 {
		t.Fatal("move.lua makes its cold functions in some other way than this test knows")
	}
	move := redis.NewScript(strings.Replace(source, made, made+"error('needs ' .. wanted)\n", 1))
	client := server.Client()
	run := func(number, token, limit string, settlements ...any) []any {
		t.Helper()
		jobs := len(settlements) / 3
		args := []any{number, "bull:mail:", "", token, "30000", "w", limit, "262144", "0", "0", "0", 0, jobs, "C-1", "1", ""}
		reply, err := move.Run(t.Context(), client, []string{"takt:{bull}:default:session:s", "bull:mail:meta", "takt:{bull}:default:parked:mail"},
			append(args, settlements...)...).Slice()
		if err != nil {
			t.Fatalf("call %s: %v", number, err)
		}
		return reply
	}
	plain := func(token string, ids ...string) (settlements []any) {
		for _, id := range ids {
			settlements = append(settlements, id, token, "null")
		}
		return settlements
	}
	run("1", "s:1", "6")
	run("2", "s:2", "2", plain("s:1", "1", "2", "3", "4", "5", "6")...)
	if reply := run("3", "s:3", "2", plain("s:2", "7", "8")...); len(reply) != 2 || reply[0] != "" {
		t.Errorf("the last call replies %v, want that all is settled and nothing left", reply)
	}
	if completed, err := client.ZCard(t.Context(), "bull:mail:completed").Result(); err != nil || completed != 8 {
		t.Errorf("%d jobs completed, %v, want 8", completed, err)
	}
}
