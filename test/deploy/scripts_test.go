package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scripts are all files of the repository that a shell reads.
func scripts(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, dir := range []string{".ci", "deploy"} {
		err := filepath.WalkDir(repository(t, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			first, _, _ := strings.Cut(read(t, path), "\n")
			if strings.HasPrefix(first, "#!") && strings.HasSuffix(first, "sh") {
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestShellcheckHasNothingToSay(t *testing.T) {
	shellcheck := need(t, "shellcheck", "shellcheck")
	found := scripts(t)
	for _, name := range []string{"run", "rootfs", "build", "release", "image-tags", "render", "rollout"} {
		if !slices.ContainsFunc(found, func(path string) bool { return filepath.Base(path) == name }) {
			t.Errorf("the script %s is not found", name)
		}
	}
	run(t, nil, shellcheck, found...).want(t, 0)
	broken := filepath.Join(t.TempDir(), "broken")
	write(t, broken, "#!/bin/sh\nrm -r $1/*\n", 0o755)
	run(t, nil, shellcheck, broken).want(t, 1)
}

func TestImagesAreNamedByEnvironmentForThreeRegistries(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bin")
	write(t, filepath.Join(bin, "git"), "#!/bin/sh\nprintf '%s\\n' v1.2.2 v1.2.3 v1.10.0 v1.11.0-rc.1 v9 vnext\n", 0o755)
	tagged := []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	for version, latest := range map[string]bool{"v1.10.0": true, "v1.2.3": false, "v1.11.0-rc.1": false, "v9": false, "v2.0.0": false} {
		got := run(t, tagged, repository(t, "deploy", "image-tags"), "production", version).want(t, 0).stdout
		if strings.Contains(got, ":latest") != latest || !strings.Contains(got, "ghcr.io/taktwork/worker:"+version+"\n") {
			t.Errorf("production %s is pushed as\n%s, want latest: %t", version, got, latest)
		}
	}
	names := map[string]string{"demo": "worker-demo", "stage": "worker-stage", "production": "worker"}
	for environment, name := range names {
		var want strings.Builder
		for _, registry := range []string{"registry.digitalocean.com/taktwork", "docker.io/taktwork", "ghcr.io/taktwork"} {
			want.WriteString(registry + "/" + name + ":v1.10.0\n" + registry + "/" + name + ":latest\n")
		}
		got := run(t, tagged, repository(t, "deploy", "image-tags"), environment, "v1.10.0").want(t, 0)
		if diff := cmp.Diff(want.String(), got.stdout); diff != "" {
			t.Errorf("%s (-want +got):\n%s", environment, diff)
		}
	}
	for _, args := range [][]string{{"prod", "v1"}, {"demo", "a/b"}, {"demo"}, {}} {
		run(t, nil, repository(t, "deploy", "image-tags"), args...).want(t, 64)
	}
}

// kubectl stands in for the real one: it notes what it is asked, answers what the file of the same words holds, and fails
// where a file of these words and .fails says so.
const kubectl = `#!/usr/bin/env bash
echo "$*" >>"$KUBECTL_DIR/calls"
for name in "$KUBECTL_DIR"/*.fails; do
	[ -e "$name" ] || continue
	words=$(basename "$name" .fails)
	if [[ "$*" == *"${words//_/ }"* ]]; then
		rm "$name"
		exit 1
	fi
done
case $* in
"get job"*) printf %s "${MIGRATION-Complete}" ;;
"get replicasets"*) printf %s "${HISTORY-}" ;;
*revision*) printf %s "${REVISION-}" ;;
*takt*deploy*template*|get*labels*) printf %s "${PREVIOUS-}" ;;
esac
`

// rollout runs the script with a cluster that fails at the calls given, and returns the calls.
func rollout(t *testing.T, code int, environ []string, fails ...string) []string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bin", "kubectl"), kubectl, 0o755)
	for _, call := range fails {
		write(t, filepath.Join(dir, call+".fails"), "", 0o644)
	}
	variables := append([]string{"KUBECTL_DIR=" + dir, "DEPLOY_NAME=demo", "WORKER_DEPLOY_ID=8-1"}, environ...)
	path := "PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH")
	run(t, append(variables, path), repository(t, "deploy", "kubernetes", "rollout"), "worker.yaml").want(t, code)
	return strings.Split(strings.TrimSpace(read(t, filepath.Join(dir, "calls"))), "\n")
}

func TestARolloutAppliesMigratesAndWaits(t *testing.T) {
	calls := rollout(t, 0, []string{"REVISION=7", "PREVIOUS=7-1", "HISTORY=5-1 8-1 7-1 5-2 "})
	want := []string{
		`get deployment/demo-worker --ignore-not-found -o jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}`,
		`get deployment/demo-worker --ignore-not-found -o jsonpath={.spec.template.metadata.labels.takt\.work/deploy}`,
		"apply -f worker.yaml -l app.kubernetes.io/instance=demo,app.kubernetes.io/component in (config, network)",
		"delete job/demo-worker-migrate --ignore-not-found --wait",
		"apply -f worker.yaml -l app.kubernetes.io/instance=demo,app.kubernetes.io/component=migrate",
		"get job/demo-worker-migrate -o jsonpath={.status.conditions[?(@.status=='True')].type}",
		"apply -f worker.yaml -l app.kubernetes.io/instance=demo,app.kubernetes.io/component=worker",
		"rollout status deployment/demo-worker --timeout=5m",
		`get replicasets -l app.kubernetes.io/instance=demo,app.kubernetes.io/component=worker -o jsonpath={.items[*].metadata.labels.takt\.work/deploy}`,
		"delete configmap,secret -l app.kubernetes.io/instance=demo,app.kubernetes.io/component=config,takt.work/deploy,takt.work/deploy notin (5-1,5-2,7-1,8-1)",
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls differ (-want +got):\n%s", diff)
	}
}

// TestTheSameDeployAgainIsARestart: the manifests make one revision for each deploy, so that undoing by hand leaves it.
func TestTheSameDeployAgainIsARestart(t *testing.T) {
	calls := rollout(t, 0, []string{"REVISION=8", "PREVIOUS=8-1"})
	apply := slices.Index(calls, "apply -f worker.yaml -l app.kubernetes.io/instance=demo,app.kubernetes.io/component=worker")
	if apply < 0 || calls[apply+1] != "rollout restart deployment/demo-worker" {
		t.Errorf("the same deploy is not restarted: %q", calls)
	}
	deployment := only(t, objects(t, template(t, variablesOfTheTemplate(t)).want(t, 0).stdout), "Deployment", "")
	if got := deployment.Spec.Template.Metadata.Labels["takt.work/deploy"]; got != "4711-1" {
		t.Errorf("the pods' label is %q, want the id of the deploy, or applying is no rollout", got)
	}
}

func TestARolloutThatFailsIsUndone(t *testing.T) {
	undo := []string{"rollout undo deployment/demo-worker --to-revision=7", "rollout status deployment/demo-worker --timeout=5m"}
	for fails, before := range map[string]string{"rollout_status": "7-1", "rollout_restart": "8-1", "component=worker": "7-1"} {
		calls := rollout(t, 1, []string{"REVISION=7", "PREVIOUS=" + before}, fails)
		if diff := cmp.Diff(undo, calls[len(calls)-2:]); diff != "" {
			t.Errorf("%s fails: the last calls differ (-want +got):\n%s", fails, diff)
		}
		pods := "-l app.kubernetes.io/instance=demo,app.kubernetes.io/component=worker,takt.work/deploy=8-1"
		for _, look := range []string{"describe pods " + pods, "logs " + pods + " --all-containers --tail=100 --prefix", "logs " + pods + " --all-containers --tail=100 --prefix --previous"} {
			if !slices.Contains(calls[:len(calls)-2], look) {
				t.Errorf("%s fails: before the undo there is no %q", fails, look)
			}
		}
	}
}

func TestARolloutWithoutAnythingBeforeItUndoesNothing(t *testing.T) {
	for _, call := range rollout(t, 1, nil, "rollout_status") {
		if strings.Contains(call, "undo") {
			t.Errorf("called %q at the first deploy", call)
		}
	}
}

func TestWorkersStayAsTheyAreIfTheSchemaCannotBeMigrated(t *testing.T) {
	// One question is enough to learn of the failure: nobody waits for a Job that ended.
	calls := rollout(t, 1, []string{"REVISION=7", "MIGRATION=FailureTarget Failed"})
	if !slices.Contains(calls, "logs -l app.kubernetes.io/instance=demo,app.kubernetes.io/component=migrate --tail=100 --prefix") {
		t.Errorf("the migration's log is not shown: %q", calls)
	}
	asked := 0
	for _, call := range calls {
		if strings.HasPrefix(call, "get job") {
			asked++
		}
		if strings.Contains(call, "component=worker") || strings.Contains(call, "restart") || strings.Contains(call, "undo") {
			t.Errorf("called %q", call)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times for the migration, want once", asked)
	}
}

func TestAReleaseHasChecksumsContentsAndLicences(t *testing.T) {
	out := filepath.Join(t.TempDir(), "dist")
	environ := []string{"PLATFORMS=linux/amd64", "VERSION=v1.2.3", "COMMIT=0123456789abcdef", "GOFLAGS=" + os.Getenv("GOFLAGS")}
	run(t, environ, repository(t, "deploy", "release"), out).want(t, 0)
	run(t, nil, "sh", "-c", "cd "+out+" && sha256sum --check --strict SHA256SUMS").want(t, 0)
	if got := strings.Count(read(t, filepath.Join(out, "SHA256SUMS")), "\n"); got != 3 {
		t.Errorf("%d files have a checksum, want 3", got)
	}
	contents := read(t, filepath.Join(out, "worker-linux-amd64.cdx.json"))
	for _, text := range []string{`"CycloneDX"`, `"pkg:golang/github.com/taktwork/takt@v1.2.3`, `"pkg:golang/github.com/redis/go-redis/v9@`, `"pkg:golang/std@`} {
		if !strings.Contains(contents, text) {
			t.Errorf("the list of contents has no %s", text)
		}
	}
	if text := read(t, filepath.Join(out, "licences.txt")); !strings.Contains(text, "github.com/spf13/cobra") || !strings.Contains(text, "Apache-2.0") {
		t.Errorf("licences: %s", text)
	}
}
