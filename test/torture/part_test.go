package torture_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

const partVariable = "TAKT_TORTURE_PART"

// Times of the torture: short, so that much happens.
const (
	leaseTime   = 2 * time.Second
	stalledTime = time.Second
	claimTime   = 1500 * time.Millisecond
)

// role is a kind of process.
type role string

const (
	// worker is a runner on queues and ledger in Redis, with short leases.
	worker role = "worker"
	// producer adds jobs.
	producer role = "producer"
	// program is the worker's own command line.
	program role = "program"
)

// part is what a process that a test starts is to do.
type part struct {
	Role role
	// Name is the worker's or the producer's.
	Name string
	// Addr is where Redis is, User and Password as whom to connect.
	Addr, User, Password string
	// File is where accepted jobs or effects are noted.
	File string

	// Concurrency is a worker's.
	Concurrency int `json:",omitempty"`

	// Jobs is how many scheduled jobs a worker has, Tick their interval and
	// Phase what it is shifted by. Revision is that of their definitions.
	Jobs     int           `json:",omitempty"`
	Tick     time.Duration `json:",omitempty"`
	Phase    time.Duration `json:",omitempty"`
	Revision string        `json:",omitempty"`
	// Postgres is where the ledger is, if it is not in Redis.
	Postgres string `json:",omitempty"`
	// Offset is by how much the worker's clock is wrong.
	Offset time.Duration `json:",omitempty"`
	// MisfireAfter is how late a tick may be before it counts as missed.
	MisfireAfter time.Duration `json:",omitempty"`
	// Jitter is what ticks are spread over: they start apart from their claim.
	Jitter time.Duration `json:",omitempty"`
	// Dispatcher is which one it uses.
	Dispatcher dispatcherKind `json:",omitempty"`
	// TrapStep is where the process kills itself, when it comes there for the
	// TrapAfter-th time.
	TrapStep  string `json:",omitempty"`
	TrapAfter int    `json:",omitempty"`

	// Count is how many jobs a producer adds, Batch how many in one call,
	// Every the time between two calls. OwnIDs has it name the jobs.
	Count, Batch int           `json:",omitempty"`
	Every        time.Duration `json:",omitempty"`
	OwnIDs       bool          `json:",omitempty"`
	// Least and Most bound how long a job takes.
	Least, Most time.Duration `json:",omitempty"`
	// Again is how long a job takes that was begun before.
	Again time.Duration `json:",omitempty"`
	// Args are the words of a program's command line, Env its environment.
	Args []string `json:"-"`
	Env  []string `json:"-"`
	// Keep is how many finished jobs stay; zero keeps all.
	Keep int `json:",omitempty"`
}

// work is the payload of a job.
type work struct {
	Key   string
	Lasts time.Duration
	// Again is how long it takes when it was begun before; zero means as long
	// as the first time.
	Again time.Duration `json:",omitempty"`
}

// play plays the part and returns the exit code.
func play(text string) int {
	var p part
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		switch p.Role {
		case worker:
			err = p.work()
		case producer:
			err = p.produce()
		case program:
			return p.command()
		default:
			err = fmt.Errorf("no part %q", p.Role)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "part:", err)
		return 1
	}
	return 0
}

func (p *part) log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})).With("part", p.Name)
}

// backend connects the process as its part says.
func (p *part) backend() (*redisqueue.Backend, error) {
	return redisqueue.New(redisqueue.Config{
		Connection:      redisqueue.Connection{Addr: p.Addr, Username: p.User, Password: domain.NewSecret(p.Password)},
		StalledInterval: stalledTime, Log: p.log(),
	})
}
