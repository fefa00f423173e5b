package deploy_test

import (
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"sigs.k8s.io/yaml"
)

// workflow is what these tests look at of one.
type workflow struct {
	Name        string            `json:"name"`
	On          map[string]any    `json:"on"`
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		If             string            `json:"if"`
		Needs          string            `json:"needs"`
		Uses           string            `json:"uses"`
		Permissions    map[string]string `json:"permissions"`
		TimeoutMinutes int               `json:"timeout-minutes"`
		Environment    string            `json:"environment"`
		With           map[string]string `json:"with"`
		Steps          []struct {
			Uses string            `json:"uses"`
			Run  string            `json:"run"`
			With map[string]any    `json:"with"`
			Env  map[string]string `json:"env"`
		} `json:"steps"`
	} `json:"jobs"`
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	paths, err := filepath.Glob(repository(t, ".github", "workflows", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]workflow{}
	for _, path := range paths {
		var w workflow
		if err := yaml.Unmarshal([]byte(read(t, path)), &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[filepath.Base(path)] = w
	}
	return all
}

func TestWorkflowsPassActionlint(t *testing.T) {
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Shellcheck: need(t, "shellcheck", "shellcheck")})
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(repository(t, ".github", "workflows", "*.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d workflows, %v", len(paths), err)
	}
	found, err := linter.LintFiles(paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, mistake := range found {
		t.Errorf("%s:%d: %s", mistake.Filepath, mistake.Line, mistake.Message)
	}
	broken := strings.Replace(read(t, repository(t, ".github", "workflows", "deploy.yml")), "inputs.version", "inputs.versoin", 1)
	if found, err := linter.Lint("deploy.yml", []byte(broken), nil); err != nil || len(found) == 0 {
		t.Errorf("an input that is not there passes: %v", err)
	}
}

func TestThereIsAWorkflowForEachTaskAndEnvironment(t *testing.T) {
	want := []string{
		"deploy-do-demo.yml", "deploy-do-prod.yml", "deploy-do-stage.yml", "deploy.yml",
		"docker-build-publish-demo.yml", "docker-build-publish-prod.yml", "docker-build-publish-stage.yml",
		"gates.yml", "image.yml", "release.yml", "test.yml",
	}
	all := workflows(t)
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Errorf("workflows %v, want %v", got, want)
	}
	for short, environment := range map[string]string{"demo": "demo", "stage": "stage", "prod": "production"} {
		build, deploy := all["docker-build-publish-"+short+".yml"], all["deploy-do-"+short+".yml"]
		if got := build.Jobs["image"].With["environment"]; got != environment {
			t.Errorf("docker-build-publish-%s builds for %q", short, got)
		}
		if with := deploy.Jobs["deploy"].With; with["environment"] != environment || with["name"] != short {
			t.Errorf("deploy-do-%s deploys %v", short, with)
		}
		if !strings.Contains(read(t, repository(t, ".github", "workflows", "deploy-do-"+short+".yml")), "["+build.Name+"]") {
			t.Errorf("deploy-do-%s does not follow %s", short, build.Name)
		}
	}
}

// pinned is an action by its commit, with the version of which that is.
var pinned = regexp.MustCompile(`^\s*(?:- )?uses: ([\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$`)

func TestActionsArePinnedByDigestAndOnce(t *testing.T) {
	digests := map[string]string{}
	for name := range workflows(t) {
		for line := range strings.Lines(read(t, repository(t, ".github", "workflows", name))) {
			if !strings.Contains(line, "uses: ") || strings.Contains(line, "uses: ./") {
				continue
			}
			match := pinned.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if match == nil {
				t.Errorf("%s: not pinned by a commit with its version: %s", name, line)
				continue
			}
			if other, known := digests[match[1]]; known && other != match[2] {
				t.Errorf("%s is pinned at %s and at %s", match[1], match[2], other)
			}
			digests[match[1]] = match[2]
		}
	}
}

func TestWorkflowsHaveTheLeastRights(t *testing.T) {
	writers := map[string][]string{
		"image.yml image": {"attestations", "id-token", "packages"}, "release.yml release": {"attestations", "contents", "id-token"},
	}
	for _, short := range []string{"demo", "stage", "prod"} {
		writers["docker-build-publish-"+short+".yml image"] = writers["image.yml image"]
	}
	for name, w := range workflows(t) {
		if w.Permissions == nil || len(w.Permissions) > 0 {
			t.Errorf("%s: what a job does not ask for is %v, want nothing", name, w.Permissions)
		}
		for id, job := range w.Jobs {
			var writes []string
			for what, right := range job.Permissions {
				if right != "read" {
					writes = append(writes, what)
				}
			}
			slices.Sort(writes)
			if want := writers[name+" "+id]; !slices.Equal(writes, want) {
				t.Errorf("%s %s may write %v, want %v", name, id, writes, want)
			}
			if job.Uses == "" && job.TimeoutMinutes == 0 {
				t.Errorf("%s %s has no end", name, id)
			}
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s %s leaves the token in the checkout", name, id)
				}
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s %s puts an expression into a script: %s", name, id, step.Run)
				}
			}
		}
	}
}

func TestNothingIsPublishedUntested(t *testing.T) {
	all := workflows(t)
	if all["test.yml"].Jobs["gates"].Uses != "./.github/workflows/gates.yml" || all["test.yml"].Jobs["test"].Steps == nil {
		t.Error("the tests do not pass the gates")
	}
	for name, job := range map[string]string{
		"release.yml": "release", "docker-build-publish-prod.yml": "image", "docker-build-publish-stage.yml": "image", "docker-build-publish-demo.yml": "image",
	} {
		if all[name].Jobs["test"].Uses != "./.github/workflows/test.yml" || all[name].Jobs[job].Needs != "test" {
			t.Errorf("%s does not wait for the tests", name)
		}
	}
}

func TestADeployTakesTheManifestsOfItsImage(t *testing.T) {
	for _, step := range workflows(t)["deploy.yml"].Jobs["deploy"].Steps {
		if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["ref"] != "${{ github.event.workflow_run.head_sha || github.sha }}" {
			t.Errorf("the deploy checks out %v", step.With["ref"])
		}
	}
}

// TestToolsArePinned: a tool that an action fetches is as much a part of the run as the action.
func TestToolsArePinned(t *testing.T) {
	exact := regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	for name, w := range workflows(t) {
		for id, job := range w.Jobs {
			for _, step := range job.Steps {
				version, _ := step.With["version"].(string)
				if strings.HasPrefix(step.Uses, "digitalocean/action-doctl@") && !exact.MatchString(version) {
					t.Errorf("%s %s takes doctl %q, want a version", name, id, version)
				}
			}
		}
	}
	if strings.Contains(read(t, repository(t, "deploy", "Dockerfile")), "syntax=") {
		t.Error("the Dockerfile takes a frontend by a tag that moves")
	}
}

// TestWhatPublishesCannotReachTheCluster: the token that pushes is another than the one that deploys.
func TestWhatPublishesCannotReachTheCluster(t *testing.T) {
	if text := read(t, repository(t, ".github", "workflows", "image.yml")); strings.Contains(text, "DIGITALOCEAN_ACCESS_TOKEN") || !strings.Contains(text, "secrets.DIGITALOCEAN_REGISTRY_TOKEN") {
		t.Error("image.yml takes the token of the cluster")
	}
}

func TestProductionIsAVersion(t *testing.T) {
	all := workflows(t)
	for _, job := range []string{"test", "image"} {
		if got := all["docker-build-publish-prod.yml"].Jobs[job].If; got != "startsWith(github.ref, 'refs/tags/v')" {
			t.Errorf("%s of production runs if %q, want on versions alone", job, got)
		}
	}
	if got := all["deploy-do-prod.yml"].Jobs["deploy"].If; !strings.Contains(got, "startsWith(github.event.workflow_run.head_branch, 'v')") {
		t.Errorf("production follows an image if %q, want that of a version", got)
	}
}

// TestTheDeployGivesTheTemplateEveryVariable compares the step that renders with what the template asks for.
func TestTheDeployGivesTheTemplateEveryVariable(t *testing.T) {
	job := workflows(t)["deploy.yml"].Jobs["deploy"]
	text := read(t, repository(t, ".github", "workflows", "deploy.yml"))
	given := []string{"DEPLOY_NAME", "WORKER_DEPLOY_ID", "WORKER_IMAGE", "REDIS_CA_FILE", "DB_CA_FILE"}
	for _, step := range job.Steps {
		if strings.Contains(step.Run, "kubernetes/render") {
			given = slices.AppendSeq(given, maps.Keys(step.Env))
		}
	}
	template := read(t, repository(t, "deploy", "kubernetes", "worker.template.yaml"))
	var asked []string
	for _, match := range regexp.MustCompile(`\$([A-Z][A-Z0-9_]*)`).FindAllStringSubmatch(template, -1) {
		asked = append(asked, match[1])
	}
	for _, name := range asked {
		if !slices.Contains(given, name) {
			t.Errorf("the template asks for %s, and the deploy does not give it", name)
		}
	}
	for _, name := range given {
		if !slices.Contains(asked, name) {
			t.Errorf("the deploy gives %s, and the template does not ask for it", name)
		}
	}
	for _, name := range []string{"WORKER_IMAGE=", "DEPLOY_NAME:", "WORKER_DEPLOY_ID:"} {
		if !strings.Contains(text, name) {
			t.Errorf("the deploy does not set %s", name)
		}
	}
	if job.Environment == "" {
		t.Error("the deploy has no environment, so no secrets of one")
	}
}
