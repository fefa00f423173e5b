package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/taktwork/takt/test/redistest"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// environments are those that have an overlay.
var environments = []string{"demo", "stage", "production"}

// kubernetes is a copy of the manifests with secrets in every overlay.
func kubernetes(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "kubernetes")
	if err := os.CopyFS(dir, os.DirFS(repository(t, "deploy", "kubernetes"))); err != nil {
		t.Fatal(err)
	}
	authority := read(t, redistest.NewAuthority(t).CertFile)
	for _, environment := range environments {
		secrets := filepath.Join(dir, "overlays", environment, "secrets")
		if err := os.CopyFS(secrets, os.DirFS(filepath.Join(dir, "secrets.example"))); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(secrets, "redis-ca.pem"), authority, 0o600)
		write(t, filepath.Join(secrets, "db-ca.pem"), authority, 0o600)
	}
	return dir
}

// kustomize renders a directory.
func kustomize(t testing.TB, dir string) string {
	t.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := rendered.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// placeholder is a value that envsubst fills; it needs quotes, or true would become a boolean.
var placeholder = regexp.MustCompile(`(?m)^( *(?:- )?[A-Za-z0-9_./-]+: )(\S*\$\S*)$`)

const templateHead = `# The manifests of one environment, to be filled by deploy/kubernetes/render, which calls envsubst.
# Made from deploy/kubernetes/template; ` + "`go test ./... -run Template -update`" + ` in test/deploy writes it.
`

func TestTheTemplateIsTheBaseWithPlaceholders(t *testing.T) {
	want := templateHead + placeholder.ReplaceAllString(kustomize(t, repository(t, "deploy", "kubernetes", "template")), `$1"$2"`)
	path := repository(t, "deploy", "kubernetes", "worker.template.yaml")
	if *update {
		write(t, path, want, 0o644)
	}
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("worker.template.yaml is not what template/ makes (-want +got); run go test ./... -run Template -update:\n%s", diff)
	}
}

// variablesOfTheTemplate are what a workflow takes from the secrets of an environment.
func variablesOfTheTemplate(t testing.TB) map[string]string {
	t.Helper()
	authority := read(t, redistest.NewAuthority(t).CertFile)
	return map[string]string{
		"DEPLOY_NAME": "demo", "WORKER_IMAGE": "registry.example/worker@sha256:" + strings.Repeat("0", 64), "WORKER_DEPLOY_ID": "4711-1",
		"WORKER_NAMESPACE": "demo", "WORKER_DEFAULT_QUEUE": "worker-default", "WORKER_QUEUE_ENABLED": "true",
		"WORKER_SCHEDULER_ENABLED": "true", "WORKER_TIMEZONE": "Europe/Berlin", "WORKER_QUEUES": "", "WORKER_QUEUE_PREFIX": "", "WORKER_CONCURRENCY": "", "TOKEN_INACTIVITY_THRESHOLDS": "", "DB_POOL_SIZE": "", "WORKER_HEARTBEAT_ENABLED": "", "LOG_LEVEL": "info",
		"WORKER_LEDGER": "", "REDIS_ENABLED": "true", "REDIS_URL": "", "REDIS_HOST": "redis.internal", "REDIS_PORT": "25061", "REDIS_USER": "takt",
		"REDIS_PASSWORD": "p@ss: #w'ord $HOME {}", "REDIS_TLS": "true", "REDIS_CA_CERT": authority,
		"DB_TYPE": "postgres", "DB_URI": "", "DB_HOST": "pg.internal", "DB_PORT": "25060", "DB_NAME": "takt", "DB_USER": "worker_run",
		"DB_PASS": "*&!%", "DB_SSL_MODE": "", "DB_CA_CERT": "",
	}
}

func environ(variables map[string]string) []string {
	var all []string
	for name, value := range variables {
		all = append(all, name+"="+value)
	}
	return all
}

// template renders the template with the variables.
func template(t testing.TB, variables map[string]string) said {
	t.Helper()
	need(t, "envsubst", "gettext-base")
	return run(t, environ(variables), repository(t, "deploy", "kubernetes", "render"))
}

func TestRenderCarriesEveryValueAsItIs(t *testing.T) {
	variables := variablesOfTheTemplate(t)
	rendered := objects(t, template(t, variables).want(t, 0).stdout)
	secret := only(t, rendered, "Secret", "demo-worker-secret-4711-1")
	for _, name := range []string{"REDIS_PASSWORD", "DB_PASS", "REDIS_PORT", "REDIS_URL"} {
		if got := secret.StringData[name]; got != variables[name] {
			t.Errorf("%s is %q, want %q", name, got, variables[name])
		}
	}
	if got := only(t, rendered, "ConfigMap", "").Data["WORKER_QUEUE_ENABLED"]; got != "true" {
		t.Errorf("WORKER_QUEUE_ENABLED is %q, want the text true", got)
	}
	migrate := only(t, rendered, "Secret", "demo-worker-migrate-secret-4711-1")
	if got := migrate.StringData["DB_PASS"]; got != variables["DB_PASS"] {
		t.Errorf("without a role of its own the migration has the password %q, want the workers'", got)
	}
	files := only(t, rendered, "Secret", "demo-worker-tls-4711-1").Data
	if got := decode(t, files["redis-ca.pem"]); strings.TrimSpace(got) != strings.TrimSpace(variables["REDIS_CA_CERT"]) {
		t.Errorf("the authority of Redis is %q", got)
	}
	settings := only(t, rendered, "ConfigMap", "").Data
	if settings["REDIS_CA_CERT"] != "/etc/takt/tls/redis-ca.pem" || settings["DB_CA_CERT"] != "" {
		t.Errorf("REDIS_CA_CERT=%q DB_CA_CERT=%q, want a path for the one that is given", settings["REDIS_CA_CERT"], settings["DB_CA_CERT"])
	}
}

func TestTheMigrationHasItsOwnAddress(t *testing.T) {
	variables := variablesOfTheTemplate(t)
	variables["DB_URI"], variables["MIGRATE_DB_URI"] = "postgres://worker_run@pg.internal:25060/takt", "postgres://worker_migrate@pg.internal:25060/takt"
	all := objects(t, template(t, variables).want(t, 0).stdout)
	for kind, name := range map[string]string{"Deployment": "DB_URI", "Job": "MIGRATE_DB_URI"} {
		if got := only(t, all, kind, "").Spec.Template.Spec.Containers[0].environment(t, all, nil)["DB_URI"]; got != variables[name] {
			t.Errorf("the %s goes to %s, want %s", kind, got, variables[name])
		}
	}
}

func TestRenderLetsOutToThePortsOfTheNetworkPolicy(t *testing.T) {
	base := only(t, objects(t, read(t, repository(t, "deploy", "kubernetes", "base", "network.yaml"))), "NetworkPolicy", "")
	for _, rule := range base.Spec.Egress {
		for _, open := range rule.Ports {
			if open.Port == 53 {
				continue
			}
			variables := variablesOfTheTemplate(t)
			variables["REDIS_PORT"] = strconv.Itoa(open.Port)
			variables["DB_PORT"], variables["DB_URI"] = "", fmt.Sprintf("postgres://u:6432@pg.internal:%d/takt?sslmode=verify-full", open.Port)
			template(t, variables).want(t, 0)
			variables["REDIS_PORT"], variables["REDIS_URL"], variables["DB_URI"] = "", "rediss://takt:1234@redis.internal", "postgres://u:6432@pg.internal"
			template(t, variables).want(t, 0)
		}
	}
}

func TestRenderRefusesWhatTheTemplateCannotCarry(t *testing.T) {
	for about, c := range map[string]struct{ name, value, want string }{
		"quote":          {"DB_PASS", `a"b`, "DB_PASS holds a quote"},
		"backslash":      {"DB_PASS", `a\n`, "DB_PASS holds a quote, a backslash"},
		"line":           {"REDIS_PASSWORD", "a\n  b: c", "REDIS_PASSWORD holds"},
		"no namespace":   {"WORKER_NAMESPACE", "", "WORKER_NAMESPACE is empty"},
		"no image":       {"WORKER_IMAGE", "", "WORKER_IMAGE is empty"},
		"name":           {"DEPLOY_NAME", "Demo", "DEPLOY_NAME must be"},
		"deploy id":      {"WORKER_DEPLOY_ID", "a_b", "WORKER_DEPLOY_ID must be"},
		"no Redis":       {"REDIS_ENABLED", "", "REDIS_ENABLED is empty"},
		"Redis is off":   {"REDIS_ENABLED", "false", "REDIS_ENABLED must be true"},
		"TLS":            {"REDIS_TLS", "", "REDIS_TLS is empty"},
		"no database":    {"DB_TYPE", "", "DB_TYPE is empty"},
		"a file":         {"DB_TYPE", "sqlite", "DB_TYPE must be postgres"},
		"ledger":         {"WORKER_LEDGER", "memory", "WORKER_LEDGER must be redis or sql"},
		"port":           {"REDIS_PORT", "6380", "REDIS_PORT, or the port of REDIS_URL, must be one"},
		"port of an URL": {"DB_URI", "postgres://u:25060@pg.internal:6432/takt", "the port of DB_URI, must be one"},
		"no certificate": {"REDIS_CA_CERT", "/etc/ca.pem!", "REDIS_CA_CERT is neither"},
	} {
		t.Run(about, func(t *testing.T) {
			variables := variablesOfTheTemplate(t)
			variables[c.name] = c.value
			got := template(t, variables).want(t, 64)
			if !strings.Contains(got.stderr, c.want) || got.stdout != "" {
				t.Errorf("said %q and printed %q, want %q and nothing", got.stderr, got.stdout, c.want)
			}
			if c.value != "" && strings.Contains(got.stderr, c.value) {
				t.Error("the value is in the message")
			}
		})
	}
	variables := variablesOfTheTemplate(t)
	variables["DB_URI"], variables["MIGRATE_DB_USER"] = "postgres://worker_run@pg.internal/takt", "worker_migrate"
	if got := template(t, variables).want(t, 64); !strings.Contains(got.stderr, "set MIGRATE_DB_URI") {
		t.Errorf("said %q, want that the role of the migration does not count beside DB_URI", got.stderr)
	}
	variables = variablesOfTheTemplate(t)
	delete(variables, "DB_HOST")
	if got := template(t, variables).want(t, 64); !strings.Contains(got.stderr, "DB_HOST is not set") {
		t.Errorf("said %q, want that DB_HOST is not set", got.stderr)
	}
}
