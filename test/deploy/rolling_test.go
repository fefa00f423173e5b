package deploy_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/taktwork/takt/test/redistest"
)

// fleet is a Deployment without a cluster: it replaces processes as the manifest says.
type fleet struct {
	t          testing.TB
	deployment object
	// environ is that of the container, with the addresses of this test's stores.
	environ []string
	mounts  map[string]string
	root    string

	running, ended []*pod
	// surge is the most pods that lived at a time, least the fewest that were ready.
	surge, least int
}

// replace is a rollout: with a surge of one and none unavailable, an old pod is ended when a new one has been ready for
// minReadySeconds.
func (f *fleet) replace() {
	f.t.Helper()
	for _, old := range slices.Clone(f.running) {
		f.add()
		<-time.After(time.Duration(f.deployment.Spec.MinReadySeconds) * time.Second)
		f.running = slices.DeleteFunc(f.running, func(p *pod) bool { return p == old })
		f.least = min(f.least, len(f.running))
		old.terminate(f.t)
		f.ended = append(f.ended, old)
	}
}

// add starts a pod and waits until it is ready.
func (f *fleet) add() {
	f.t.Helper()
	s := spec{Root: f.root, State: emptyDir(f.t), Mounts: f.mounts, Env: f.environ}
	template := f.deployment.Spec.Template.Spec
	s.Args = template.Containers[0].Args
	p := s.start(f.t)
	probe := template.Containers[0].ReadinessProbe
	for deadline := time.Now().Add(patience); s.ask(f.t, "", probe.Exec.Command[1:]...).code != 0; {
		if time.Now().After(deadline) {
			f.t.Fatalf("a pod is not ready after %s", patience)
		}
	}
	f.running = append(f.running, p)
	f.surge = max(f.surge, len(f.running))
}

// drained waits for the end of the pods that were told to: by themselves, within their grace.
func (f *fleet) drained() {
	f.t.Helper()
	grace := time.Duration(f.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	for _, p := range f.ended {
		// What is left of it: its time runs from its own SIGTERM, not from when this looks.
		p.exits(f.t, 0, max(time.Until(p.told.Add(grace)), time.Second))
		if took := p.ended.Sub(p.told); took > grace {
			f.t.Errorf("a pod took %s to stop, and has %s", took, grace)
		}
	}
}

func (f *fleet) stop() {
	f.t.Helper()
	for _, p := range f.running {
		p.terminate(f.t)
	}
	f.ended, f.running = append(f.ended, f.running...), nil
	f.drained()
}

// entries are the records of all pods with the message.
func (f *fleet) entries(message string) []map[string]any {
	var all []map[string]any
	for _, p := range append(slices.Clone(f.ended), f.running...) {
		all = append(all, p.stderr.entries(message)...)
	}
	return all
}

// TestARolloutMissesNoTickAndLosesNoJob replaces two replicas twice, as two rollouts do, under a
// heartbeat every second and a stream of jobs. All settings are those of the production overlay, but for the addresses
// of the stores and the pace of the heartbeat.
func TestARolloutMissesNoTickAndLosesNoJob(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	server := redistest.StartTLS(t, authority, []string{"127.0.0.1"}, aclOf(t, "s3cret")...)
	database := startPostgres(t, authority)
	f := newFleet(t, authority, server, database)
	for range *f.deployment.Spec.Replicas {
		f.add()
	}
	f.least = len(f.running)
	enqueued, stopStream := f.stream()
	f.replace()
	f.replace()
	stopStream()
	client := tlsClient(t, authority, server)
	await(t, "the jobs of the stream", func() bool {
		return client.ZCard(t.Context(), "bull:stream:completed").Val() >= int64(len(enqueued()))
	})
	f.stop()
	if f.surge != 3 || f.least != 2 {
		t.Errorf("between %d and %d pods were there, want 2 and 3", f.least, f.surge)
	}
	checkStream(t, f, client, enqueued())
	checkHeartbeats(t, f, client)
	for _, message := range []string{"missed ticks coalesced", "run skipped", "lease lost", "job requeued after its lease ran out", "worker stopped early", "run taken over", "storage is not used", "configuration"} {
		if got := f.entries(message); len(got) > 0 {
			t.Errorf("%d times %q: %v", len(got), message, got[0])
		}
	}
}

func newFleet(t testing.TB, authority *redistest.Authority, server *redistest.Server, database *postgres) *fleet {
	t.Helper()
	all := objects(t, variants(t)["production"])
	f := &fleet{t: t, deployment: only(t, all, "Deployment", ""), root: root(t, tlsDir)}
	f.mounts = map[string]string{tlsDir: secretDir(t, map[string]string{"redis-ca.pem": authority.CertFile, "db-ca.pem": authority.CertFile})}
	here := map[string]string{
		"REDIS_HOST": "127.0.0.1", "REDIS_PORT": strconv.Itoa(server.Port), "REDIS_USER": "takt", "REDIS_PASSWORD": "s3cret",
		"WORKER_HEARTBEAT_CRON": "* * * * * *",
	}
	maps.Copy(here, database.settings())
	environment := func(o object) []string {
		variables := o.Spec.Template.Spec.Containers[0].environment(t, all, map[string]string{"pod-template-hash": "5d8c7b9f4"})
		user := variables["DB_USER"]
		maps.Copy(variables, here)
		if user == "worker_migrate" {
			variables["DB_USER"], variables["DB_PASS"] = user, migratePassword
		}
		return with(imageEnv(t), environ(variables)...)
	}
	f.environ = environment(f.deployment)
	build := run(t, []string{"CGO_ENABLED=0", "GOFLAGS=" + os.Getenv("GOFLAGS")}, "go", "build", "-trimpath", "-o", filepath.Join(f.root, "usr/local/bin/worker"), "./streamworker")
	build.want(t, 0)
	migration := only(t, all, "Job", "")
	job := spec{Root: f.root, State: emptyDir(t), Mounts: f.mounts, Env: environment(migration)}
	job.ask(t, "", migration.Spec.Template.Spec.Containers[0].Args...).want(t, 0)
	return f
}

// aclOf are the settings of a server whose user takt has the rights that deploy/redis-acl.conf grants.
func aclOf(t testing.TB, password string) []string {
	t.Helper()
	for line := range strings.Lines(read(t, repository(t, "deploy", "redis-acl.conf"))) {
		if strings.HasPrefix(line, "user takt ") {
			words := strings.Fields(strings.Replace(line, "#SHA256-OF-THE-PASSWORD", ">"+password, 1))
			return append([]string{"--appendonly", "yes", "--user"}, words[1:]...)
		}
	}
	t.Fatal("deploy/redis-acl.conf has no user takt")
	return nil
}

// stream has an application enqueue jobs of 50 to 500 ms, some ten a second, until it is stopped.
func (f *fleet) stream() (enqueued func() []string, stop func()) {
	var mu sync.Mutex
	var ids []string
	ending, done := make(chan struct{}), make(chan struct{})
	producer := spec{Root: f.root, State: emptyDir(f.t), Mounts: f.mounts, Env: f.environ}
	go func() {
		defer close(done)
		for batch := 0; ; batch++ {
			var lines strings.Builder
			var mine []string
			for i := range 5 {
				id := fmt.Sprintf("job-%d-%d", batch, i)
				mine = append(mine, id)
				fmt.Fprintf(&lines, `{"queue":"stream","name":"stream.work","id":%q,"data":{"ms":%d}}`+"\n", id, 50+(batch*37+i*101)%450)
			}
			if got := producer.ask(f.t, lines.String(), "enqueue", "-"); got.code != 0 {
				f.t.Errorf("enqueue exits with %d: %s", got.code, got.stderr)
			}
			mu.Lock()
			ids = append(ids, mine...)
			mu.Unlock()
			select {
			case <-ending:
				return
			case <-time.After(400 * time.Millisecond):
			}
		}
	}()
	enqueued = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(ids)
	}
	return enqueued, func() {
		close(ending)
		<-done
	}
}

// checkStream fails unless each job was done exactly once, at its first attempt, and nothing is left.
func checkStream(t testing.TB, f *fleet, client *redis.Client, ids []string) {
	t.Helper()
	times := map[string]int{}
	for _, entry := range f.entries("stream job done") {
		times[entry["job_id"].(string)]++
		if entry["attempt"] != 1.0 {
			t.Errorf("job %v was done at attempt %v", entry["job_id"], entry["attempt"])
		}
	}
	for _, id := range ids {
		if times[id] != 1 {
			t.Errorf("job %s was done %d times", id, times[id])
		}
	}
	if len(times) != len(ids) || len(ids) == 0 {
		t.Errorf("%d jobs were done, want the %d that were enqueued", len(times), len(ids))
	}
	for _, list := range []string{"wait", "active"} {
		if left := client.LLen(t.Context(), "bull:stream:"+list).Val(); left > 0 {
			t.Errorf("%d jobs are left in %s", left, list)
		}
	}
	for _, set := range []string{"failed", "delayed"} {
		if left := client.ZCard(t.Context(), "bull:stream:"+set).Val(); left > 0 {
			t.Errorf("%d jobs are left in %s", left, set)
		}
	}
	t.Logf("%d jobs", len(ids))
}

// checkHeartbeats fails unless each second between the first and the last has one heartbeat, worked once.
func checkHeartbeats(t testing.TB, f *fleet, client *redis.Client) {
	t.Helper()
	var seconds []int
	for _, id := range client.ZRange(t.Context(), "bull:worker-default:completed", 0, -1).Val() {
		if planned, ok := strings.CutPrefix(id, "tick.production@worker.heartbeat.scheduler."); ok {
			ms, err := strconv.Atoi(planned)
			if err != nil || ms%1000 != 0 {
				t.Errorf("heartbeat %s is not at a whole second", id)
			}
			seconds = append(seconds, ms/1000)
		}
	}
	slices.Sort(seconds)
	for i := 1; i < len(seconds); i++ {
		if seconds[i] != seconds[i-1]+1 {
			t.Errorf("after the heartbeat of %s comes that of %s", time.Unix(int64(seconds[i-1]), 0).UTC(), time.Unix(int64(seconds[i]), 0).UTC())
		}
	}
	queued, worked := 0, 0
	for _, entry := range f.entries("run queued its job") {
		if entry["job"] == "worker.heartbeat.scheduler" {
			queued++
		}
	}
	for _, p := range f.ended {
		worked += strings.Count(p.stderr.String(), `"msg":"Worker heartbeat processed at `)
	}
	if least := 2 * len(f.ended); len(seconds) < least || queued != len(seconds) || worked != len(seconds) {
		t.Errorf("%d heartbeats, %d queued, %d worked; want as many, and at least %d", len(seconds), queued, worked, least)
	}
	t.Logf("%d heartbeats", len(seconds))
}

func tlsClient(t testing.TB, authority *redistest.Authority, server *redistest.Server) *redis.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(read(t, authority.CertFile)))
	client := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, DisableIdentity: true, TLSConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// await waits until the condition holds; what says what is waited for.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}
