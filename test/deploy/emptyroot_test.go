package deploy_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/taktwork/takt/test/redistest"
)

// imageEnv are the variables that the Dockerfile gives the image.
func imageEnv(t testing.TB) []string {
	t.Helper()
	block := regexp.MustCompile(`(?m)^ENV (WORKER_(?:.*\\\n)*.*)$`).FindStringSubmatch(read(t, repository(t, "deploy", "Dockerfile")))
	if block == nil {
		t.Fatal("the Dockerfile sets no variables")
	}
	return strings.Fields(strings.ReplaceAll(block[1], "\\\n", " "))
}

const tlsDir = "/etc/takt/tls"

// TestTheImageRunsInAnEmptyRootWithTLS runs the image's tree as Kubernetes would: an unprivileged user, a read-only root,
// one writable directory, secrets of a group; with stores that speak TLS alone.
func TestTheImageRunsInAnEmptyRootWithTLS(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	server := redistest.StartTLS(t, authority, []string{"127.0.0.1"}, "--tls-auth-clients", "yes")
	mine := authority.Issue("worker", redistest.Subject{})
	database := startPostgres(t, authority)
	dir := root(t, tlsDir)
	before := listing(t, dir)
	s := spec{
		Root: dir, State: emptyDir(t), Args: []string{"run"},
		Mounts: map[string]string{tlsDir: secretDir(t, map[string]string{
			"redis-ca.pem": authority.CertFile, "db-ca.pem": authority.CertFile, "redis.pem": mine.CertFile, "redis.key": mine.KeyFile,
		})},
		Env: with(imageEnv(t), "REDIS_ENABLED=true", "REDIS_URL=rediss://"+server.Addr, "REDIS_REQUIRE_TLS=true",
			"REDIS_CA_CERT="+tlsDir+"/redis-ca.pem", "REDIS_CERT="+tlsDir+"/redis.pem", "REDIS_KEY="+tlsDir+"/redis.key",
			"DB_TYPE=postgres", "DB_SSL_MODE=verify-full", "DB_REQUIRE_TLS=true", "DB_CA_CERT="+tlsDir+"/db-ca.pem",
			"WORKER_HEARTBEAT_CRON=* * * * * *", "WORKER_TIMEZONE=America/New_York"),
	}
	s.Env = with(s.Env, environ(database.settings())...)
	migration := s
	migration.Env = with(s.Env, "DB_USER=worker_migrate", "DB_PASS="+migratePassword)
	migration.ask(t, "", "migrate", "up").want(t, 0)
	p := s.start(t)
	p.says(t, "worker ready")
	p.says(t, `"timezone":"America/New_York"`)
	p.says(t, "Worker startup event processed at ")
	p.says(t, "Worker heartbeat processed at ")
	for _, check := range []string{"startup", "live", "ready"} {
		s.ask(t, "", "health", check).want(t, 0)
	}
	database.connected(t, "worker_run")
	s.ask(t, `{"queue":"worker-default","name":"worker.heartbeat","id":"by-hand"}`+"\n", "enqueue", "-").want(t, 0)
	if got := s.ask(t, "", "version").want(t, 0).stdout; !strings.Contains(got, "v1.2.3") || !strings.Contains(got, "0123456789abcdef") {
		t.Errorf("worker version says %q", got)
	}
	p.terminate(t)
	p.exits(t, 0, patience)
	p.says(t, `"msg":"worker stopped"`)
	for _, entry := range p.stderr.entries("storage is not used") {
		t.Errorf("Postgres is not used: %v", entry)
	}
	if after := listing(t, dir); len(after) != len(before) {
		t.Errorf("the root has %d files, want the %d of before", len(after), len(before))
	}
	left, err := filepath.Glob(filepath.Join(s.State, "state", "*", "*.sock"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the writable directory: %v, %v", left, err)
	}
}

// TestAKeyThatEveryUserMayReadIsRefused shows why secrets have the mode 0440 and a group.
func TestAKeyThatEveryUserMayReadIsRefused(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	mine := authority.Issue("worker", redistest.Subject{})
	secrets := secretDir(t, map[string]string{"redis.pem": mine.CertFile, "redis.key": mine.KeyFile})
	s := spec{
		Root: root(t, tlsDir), State: emptyDir(t), Args: []string{"run"}, Mounts: map[string]string{tlsDir: secrets},
		Env: with(imageEnv(t), "REDIS_ENABLED=true", "REDIS_URL=rediss://127.0.0.1:1", "REDIS_CERT="+tlsDir+"/redis.pem", "REDIS_KEY="+tlsDir+"/redis.key", "WORKER_START_TIMEOUT=1s"),
	}
	s.start(t).exits(t, 69, patience)
	write(t, filepath.Join(secrets, "other.key"), read(t, mine.KeyFile), 0o444)
	s.Env = with(s.Env, "REDIS_KEY="+tlsDir+"/other.key")
	refused := s.start(t)
	refused.exits(t, 78, patience)
	refused.says(t, "REDIS_KEY")
}

func TestNothingButTheOneDirectoryIsWritable(t *testing.T) {
	t.Parallel()
	s := spec{Root: root(t), State: emptyDir(t), Args: []string{"run"}, Env: imageEnv(t)}
	p := s.start(t)
	p.says(t, "Worker startup event processed at ")
	p.terminate(t)
	p.exits(t, 0, patience)
	s.Env = with(s.Env, "WORKER_STATE_DIR=/etc/state")
	refused := s.start(t)
	refused.exits(t, 78, patience)
	refused.says(t, "read-only file system")
}
