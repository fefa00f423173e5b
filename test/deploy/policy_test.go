package deploy_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/app/config"
)

const (
	// leastUser is the first uid that no system gives to one of its own.
	leastUser = 10_000
	// graceMargin is what a container has beyond WORKER_SHUTDOWN_TIMEOUT: the worker may overrun it by three seconds.
	graceMargin = 5 * time.Second
	// memoryMost is the largest request for memory that we allow ourselves.
	memoryMost = 64 << 20
	// probes run in the worker's container, and may do so at a time; probeMemory is what docs/deploy.md measured of one.
	probes, probeMemory = 3, 18 << 20
	writable            = "/var/lib/takt"
)

func TestEveryPodKeepsThePolicy(t *testing.T) {
	for name, text := range variants(t) {
		all := objects(t, text)
		for _, o := range all {
			if o.Kind == "Deployment" || o.Kind == "Job" {
				for _, broken := range policy(t, o, all) {
					t.Errorf("%s: %s %s: %s", name, o.Kind, o.Metadata.Name, broken)
				}
			}
		}
	}
}

// policy returns what a pod does not keep of the security it is to have.
func policy(t *testing.T, o object, all []object) []string {
	t.Helper()
	pod := o.Spec.Template.Spec
	var broken []string
	insist := func(kept bool, rule string, args ...any) {
		if !kept {
			broken = append(broken, fmt.Sprintf(rule, args...))
		}
	}
	security := pod.SecurityContext
	insist(security.RunAsNonRoot, "runAsNonRoot is not true")
	insist(security.RunAsUser >= leastUser && security.RunAsGroup >= leastUser, "uid %d, gid %d, want %d or more", security.RunAsUser, security.RunAsGroup, leastUser)
	insist(security.FSGroup == security.RunAsGroup, "fsGroup %d is not the group %d", security.FSGroup, security.RunAsGroup)
	insist(security.SeccompProfile.Type == "RuntimeDefault", "seccomp profile %q", security.SeccompProfile.Type)
	insist(pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken, "the token of the service account is mounted")
	insist(pod.ServiceAccountName == "", "it has a service account of its own")
	insist(pod.EnableServiceLinks != nil && !*pod.EnableServiceLinks, "variables of services are injected")
	insist(!pod.HostNetwork && !pod.HostPID && !pod.HostIPC, "it shares the host's network, processes or memory")
	insist(len(pod.InitContainers) == 0 && len(pod.Containers) == 1, "it has other containers")
	for _, v := range pod.Volumes {
		insist(v.HostPath == nil, "volume %s is a directory of the host", v.Name)
		insist((v.EmptyDir != nil) != (v.Secret != nil), "volume %s is neither an empty directory nor a secret", v.Name)
		insist(v.EmptyDir == nil || v.EmptyDir["sizeLimit"] != nil, "volume %s has no limit", v.Name)
		// The worker refuses a private key that others may read.
		insist(v.Secret == nil || v.Secret.DefaultMode == 0o440, "secret %s is not 0440", v.Name)
	}
	for _, c := range pod.Containers {
		context := c.SecurityContext
		insist(context.AllowPrivilegeEscalation != nil && !*context.AllowPrivilegeEscalation, "privilege escalation is allowed")
		insist(context.Privileged == nil || !*context.Privileged, "it is privileged")
		insist(context.ReadOnlyRootFilesystem, "its root file system is writable")
		insist(slices.Equal(context.Capabilities.Drop, []string{"ALL"}) && len(context.Capabilities.Add) == 0, "it has capabilities")
		insist(len(c.Ports) == 0, "it has ports")
		insist(len(c.Command) == 0, "it replaces the entry point of the image")
		for _, m := range c.VolumeMounts {
			insist(m.ReadOnly == (m.MountPath != writable), "%s is mounted with readOnly=%t", m.MountPath, m.ReadOnly)
		}
		request, limit := quantity(t, c.Resources.Requests["memory"]), quantity(t, c.Resources.Limits["memory"])
		insist(request > 0 && request <= memoryMost, "it asks for %d bytes of memory, at most %d are allowed", request, memoryMost)
		insist(limit >= request, "its limit of memory is %d bytes", limit)
		insist(c.Resources.Requests["cpu"] != "", "it asks for no processor time")
		variables := c.environment(t, all, map[string]string{"pod-template-hash": "5d8c7b9f4"})
		garbage := quantity(t, strings.TrimSuffix(variables["GOMEMLIMIT"], "B"))
		insist(garbage > limit*60/100 && garbage+probes*probeMemory <= limit, "GOMEMLIMIT is %d bytes of %d, want as much as %d probes leave", garbage, limit, probes)
		stop, err := time.ParseDuration(variables["WORKER_SHUTDOWN_TIMEOUT"])
		grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second
		insist(err == nil && grace >= stop+graceMargin, "%s to stop are fewer than WORKER_SHUTDOWN_TIMEOUT=%s and %s", grace, stop, graceMargin)
		insist(variables["WORKER_NAMESPACE"] != "" && variables["WORKER_NAMESPACE"] != "default", "it has no namespace of its own")
		insist(variables["REDIS_REQUIRE_TLS"] == "true" && variables["DB_REQUIRE_TLS"] == "true", "TLS is not required")
	}
	return broken
}

// quantity reads an amount of memory.
func quantity(t *testing.T, text string) int {
	t.Helper()
	for unit, factor := range map[string]int{"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.Atoi(digits)
			if err != nil {
				t.Fatal(err)
			}
			return n * factor
		}
	}
	t.Fatalf("%q is no amount of memory with a unit", text)
	return 0
}

func TestThePolicyFindsWhatBreaksIt(t *testing.T) {
	valid := variants(t)["demo"]
	for _, c := range [][2]string{
		{"runAsNonRoot: true", "runAsNonRoot: false"},
		{"runAsUser: 65532", "runAsUser: 1000"},
		{"fsGroup: 65532", "fsGroup: 0"},
		{"type: RuntimeDefault", "type: Unconfined"},
		{"automountServiceAccountToken: false", "automountServiceAccountToken: true"},
		{"enableServiceLinks: false", "hostNetwork: true"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"},
		{"privileged: false", "privileged: true"},
		{"- ALL", "- NET_RAW"},
		{"defaultMode: 288", "defaultMode: 292"},
		{"memory: 48Mi", "memory: 65Mi"},
		{"value: 128MiB", "value: 139MiB"},
		{"terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 29"},
		{"WORKER_SHUTDOWN_TIMEOUT: 25s", "WORKER_SHUTDOWN_TIMEOUT: 26s"},
		{"WORKER_NAMESPACE: demo", "WORKER_NAMESPACE: default"},
		{`REDIS_REQUIRE_TLS: "true"`, `REDIS_REQUIRE_TLS: "false"`},
		{"sizeLimit: 64Mi", "medium: Memory"},
	} {
		broken := strings.Replace(valid, c[0], c[1], 1)
		if broken == valid {
			t.Errorf("%q is not in the manifests", c[0])
			continue
		}
		all := objects(t, broken)
		if found := policy(t, only(t, all, "Deployment", ""), all); len(found) == 0 {
			t.Errorf("%q in place of %q passes", c[1], c[0])
		}
	}
}

func TestTheWorkersAreReplacedOneByOne(t *testing.T) {
	for name, text := range variants(t) {
		all := objects(t, text)
		deployment := only(t, all, "Deployment", "")
		scaled := strings.Contains(name, " with ")
		if replicas := deployment.Spec.Replicas; !scaled && (replicas == nil || *replicas != 2) || scaled && replicas != nil {
			t.Errorf("%s: replicas %v, want 2, or none with an autoscaler", name, replicas)
		}
		rolling := deployment.Spec.Strategy.RollingUpdate
		if deployment.Spec.Strategy.Type != "RollingUpdate" || rolling.MaxSurge != 1 || rolling.MaxUnavailable != 0 {
			t.Errorf("%s: strategy %+v, want a surge of one and none unavailable", name, deployment.Spec.Strategy)
		}
		pods := deployment.Spec.Template.Metadata.Labels
		for what, s := range map[string]selector{
			"Deployment": deployment.Spec.Selector, "PodDisruptionBudget": only(t, all, "PodDisruptionBudget", "").Spec.Selector,
			"NetworkPolicy": only(t, all, "NetworkPolicy", "").Spec.PodSelector,
			"spread":        deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector,
		} {
			if !selects(s, pods) || s.MatchLabels["app.kubernetes.io/instance"] == "" {
				t.Errorf("%s: %s selects %v, which are not the pods of this environment alone: %v", name, what, s.MatchLabels, pods)
			}
		}
		if budget := only(t, all, "PodDisruptionBudget", "").Spec.MaxUnavailable; budget == nil || *budget != 1 {
			t.Errorf("%s: the disruption budget lets %v go", name, budget)
		}
		migration := only(t, all, "Job", "").Spec.Template
		if !selects(only(t, all, "NetworkPolicy", "").Spec.PodSelector, migration.Metadata.Labels) {
			t.Errorf("%s: the network policy leaves the migration out", name)
		}
		if selects(deployment.Spec.Selector, migration.Metadata.Labels) {
			t.Errorf("%s: the Deployment takes the pod of the migration for its own", name)
		}
	}
}

func selects(s selector, labels map[string]string) bool {
	for name, value := range s.MatchLabels {
		if labels[name] != value {
			return false
		}
	}
	return len(s.MatchLabels) > 0
}

func TestNobodyReachesAWorker(t *testing.T) {
	for name, text := range variants(t) {
		spec := only(t, objects(t, text), "NetworkPolicy", "").Spec
		if !slices.Contains(spec.PolicyTypes, "Ingress") || !slices.Contains(spec.PolicyTypes, "Egress") || len(spec.Ingress) > 0 {
			t.Errorf("%s: policy types %v, ingress %v", name, spec.PolicyTypes, spec.Ingress)
		}
		for _, rule := range spec.Egress {
			if len(rule.Ports) == 0 {
				t.Errorf("%s: a rule lets a worker out on all ports", name)
			}
			for _, p := range rule.Ports {
				if !slices.Contains([]int{53, 6379, 5432, 25060, 25061}, p.Port) {
					t.Errorf("%s: a worker may go out on port %d", name, p.Port)
				}
			}
		}
	}
}

func TestProbesAreTheBinaryAndFitItsTimes(t *testing.T) {
	for name, text := range variants(t) {
		all := objects(t, text)
		deployment := only(t, all, "Deployment", "")
		c := deployment.Spec.Template.Spec.Containers[0]
		for check, p := range map[string]*probe{"startup": c.StartupProbe, "live": c.LivenessProbe, "ready": c.ReadinessProbe} {
			if p == nil || !slices.Equal(p.Exec.Command, []string{"/usr/local/bin/worker", "health", check}) {
				t.Errorf("%s: the %s probe is %+v", name, check, p)
				continue
			}
			// health gives up by itself after two and a half seconds.
			if p.TimeoutSeconds < 3 {
				t.Errorf("%s: the %s probe has %d s, want 3 or more", name, check, p.TimeoutSeconds)
			}
		}
		start, err := time.ParseDuration(c.environment(t, all, nil)["WORKER_START_TIMEOUT"])
		patience := time.Duration(c.StartupProbe.PeriodSeconds*c.StartupProbe.FailureThreshold) * time.Second
		if err != nil || patience < start+graceMargin {
			t.Errorf("%s: the startup probe gives up after %s, before WORKER_START_TIMEOUT=%s does", name, patience, start)
		}
		if deadline := time.Duration(deployment.Spec.ProgressDeadlineSeconds) * time.Second; deadline < patience {
			t.Errorf("%s: a rollout is given up after %s, before the startup probe after %s", name, deadline, patience)
		}
	}
}

// TestManifestsAreAppliedInThreeSteps: what bears no step's label would never be applied, and workers come after the schema.
func TestManifestsAreAppliedInThreeSteps(t *testing.T) {
	steps := map[string]string{
		"ConfigMap": "config", "Secret": "config", "NetworkPolicy": "network", "Job": "migrate", "Deployment": "worker", "PodDisruptionBudget": "worker",
		"HorizontalPodAutoscaler": "worker", "ScaledObject": "worker", "TriggerAuthentication": "worker",
	}
	for name, text := range variants(t) {
		for _, o := range objects(t, text) {
			if got := o.Metadata.Labels["app.kubernetes.io/component"]; got == "" || got != steps[o.Kind] {
				t.Errorf("%s: %s %s comes with the step %q, want %q", name, o.Kind, o.Metadata.Name, got, steps[o.Kind])
			}
		}
	}
	page := read(t, repository(t, "docs", "deploy.md"))
	at := -1
	for _, command := range []string{
		"kubectl apply -k . -l 'app.kubernetes.io/component in (config, network)'", "kubectl apply -k . -l app.kubernetes.io/component=migrate",
		"kubectl wait job/demo-worker-migrate --for=condition=complete", "kubectl apply -k . -l app.kubernetes.io/component=worker",
	} {
		next := strings.Index(page, command)
		if next <= at {
			t.Errorf("docs/deploy.md has no %q, or not after the step before", command)
		}
		at = next
	}
}

func TestAutoscalersKeepTwoAndNameWhatIsThere(t *testing.T) {
	all := variants(t)
	keda := objects(t, all["production with keda"])
	scaled := only(t, keda, "ScaledObject", "").Spec
	only(t, keda, "Deployment", scaled.ScaleTargetRef.Name)
	if scaled.MinReplicaCount != 2 {
		t.Errorf("KEDA keeps %d, want 2", scaled.MinReplicaCount)
	}
	authentication := only(t, keda, "TriggerAuthentication", scaled.Triggers[0].AuthenticationRef.Name)
	for _, ref := range authentication.Spec.SecretTargetRef {
		if only(t, keda, "Secret", ref.Name).Data[ref.Key] == "" {
			t.Errorf("secret %s has no %s", ref.Name, ref.Key)
		}
	}
	deployment := only(t, keda, "Deployment", "")
	variables := deployment.Spec.Template.Spec.Containers[0].environment(t, keda, nil)
	for key, name := range scaled.Triggers[0].Metadata {
		if strings.HasSuffix(key, "FromEnv") && variables[name] == "" {
			t.Errorf("the trigger's %s is the variable %s, which the worker does not have", key, name)
		}
	}
	if list := scaled.Triggers[0].Metadata["listName"]; list != "bull:"+variables["WORKER_DEFAULT_QUEUE"]+":wait" {
		t.Errorf("the trigger looks at the list %s", list)
	}
	hpa := objects(t, all["production with hpa"])
	autoscaler := only(t, hpa, "HorizontalPodAutoscaler", "").Spec
	only(t, hpa, "Deployment", autoscaler.ScaleTargetRef.Name)
	if autoscaler.MinReplicas != 2 {
		t.Errorf("the HPA keeps %d, want 2", autoscaler.MinReplicas)
	}
}

// TestNoManifestNamesATagThatMoves: a pod that starts again must find the image that was tested.
func TestNoManifestNamesATagThatMoves(t *testing.T) {
	for name, text := range variants(t) {
		if strings.Contains(text, ":latest") {
			t.Errorf("%s names the tag latest", name)
		}
	}
	dir := kubernetes(t)
	path := filepath.Join(dir, "overlays", "demo", "kustomization.yaml")
	digest := "sha256:" + strings.Repeat("0", 64)
	write(t, path, strings.Replace(read(t, path), "newTag: none-set", "digest: "+digest, 1), 0o644)
	if got := only(t, objects(t, kustomize(t, filepath.Dir(path))), "Deployment", "").Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(got, "/worker-demo@"+digest) {
		t.Errorf("with a digest set, demo runs %s", got)
	}
}

func TestEnvironmentsDifferInNameImageAndNamespace(t *testing.T) {
	images := map[string]string{"demo": "worker-demo", "stage": "worker-stage", "production": "worker"}
	names := map[string]string{"demo": "demo-worker", "stage": "stage-worker", "production": "prod-worker"}
	all := variants(t)
	for _, environment := range environments {
		rendered := objects(t, all[environment])
		deployment := only(t, rendered, "Deployment", names[environment])
		c := deployment.Spec.Template.Spec.Containers[0]
		if want := "registry.digitalocean.com/taktwork/" + images[environment] + ":none-set"; c.Image != want {
			t.Errorf("%s runs %s, want %s", environment, c.Image, want)
		}
		if got := c.environment(t, rendered, nil)["WORKER_NAMESPACE"]; got != environment {
			t.Errorf("%s has the namespace %s", environment, got)
		}
	}
}

// TestAMistakeMakesNoLoneWorkers takes from the manifests what says which stores the replicas share.
func TestAMistakeMakesNoLoneWorkers(t *testing.T) {
	all := objects(t, variants(t)["production"])
	valid := only(t, all, "Deployment", "").Spec.Template.Spec.Containers[0].environment(t, all, map[string]string{"pod-template-hash": "5d8c7b9f4"})
	valid["REDIS_CA_CERT"], valid["DB_CA_CERT"] = "", ""
	for _, name := range []string{"REDIS_ENABLED", "REDIS_HOST", "REDIS_TLS", "DB_TYPE", "DB_HOST"} {
		variables := maps.Clone(valid)
		variables[name] = ""
		loaded, report := config.Load(config.Source{Environ: append(environ(variables), imageEnv(t)...), PID: 1, UID: imageUser})
		if len(report.Problems) == 0 && (loaded.Queue.Ledger != config.LedgerRedis || loaded.Storage.Path != "") {
			t.Errorf("without %s a replica starts, with its claims in %s and its tables in the file %q", name, loaded.Queue.Ledger, loaded.Storage.Path)
		}
	}
}

// TestAWorkerTakesTheSettingsOfTheManifests has the configuration itself read what a container is given.
func TestAWorkerTakesTheSettingsOfTheManifests(t *testing.T) {
	for name, text := range variants(t) {
		all := objects(t, text)
		for _, kind := range []string{"Deployment", "Job"} {
			c := only(t, all, kind, "").Spec.Template.Spec.Containers[0]
			variables := c.environment(t, all, map[string]string{"pod-template-hash": "5d8c7b9f4"})
			files := t.TempDir()
			for _, secret := range all {
				if secret.Kind == "Secret" && strings.Contains(secret.Metadata.Name, "worker-tls") {
					for file, value := range secret.Data {
						write(t, filepath.Join(files, file), decode(t, value), 0o440)
					}
				}
			}
			var set []string
			for name, value := range variables {
				set = append(set, name+"="+strings.Replace(value, tlsDir, files, 1))
			}
			loaded, report := config.Load(config.Source{Environ: append(set, imageEnv(t)...), PID: 1, UID: imageUser})
			for _, problem := range append(report.Problems, report.Warnings...) {
				t.Errorf("%s %s: %s", name, kind, problem)
			}
			if shared := loaded.Queue.Ledger == config.LedgerRedis || loaded.Queue.Ledger == config.LedgerSQL; !shared || loaded.Queue.LedgerFollows || loaded.Storage.Path != "" {
				t.Errorf("%s %s: claims are kept in %s (it follows: %t), tables in the file %q; want what replicas share, by name", name, kind, loaded.Queue.Ledger, loaded.Queue.LedgerFollows, loaded.Storage.Path)
			}
		}
	}
}

func TestTheConfigurationKnowsEveryVariableOfTheManifests(t *testing.T) {
	for name, text := range variants(t) {
		all := objects(t, text)
		for _, o := range all {
			if o.Kind != "Deployment" && o.Kind != "Job" {
				continue
			}
			c := o.Spec.Template.Spec.Containers[0]
			checkVariables(t, name+" "+o.Kind, c.environment(t, all, map[string]string{"pod-template-hash": "5d8c7b9f4"}))
		}
	}
}

// required are the variables that a worker of a fleet cannot do without: who it is, its time to stop, its stores, and
// the reference's own.
var required = []string{
	"WORKER_NAMESPACE", "WORKER_SHUTDOWN_TIMEOUT", "WORKER_DEFAULT_QUEUE", "WORKER_QUEUE_ENABLED", "WORKER_SCHEDULER_ENABLED",
	"WORKER_TIMEZONE", "REDIS_ENABLED", "REDIS_HOST", "REDIS_PORT", "DB_TYPE", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASS",
}

// notOurs are variables that others read: the runtime of Go.
var notOurs = []string{"GOMEMLIMIT"}

// checkVariables fails unless the configuration knows all the variables, and all that are required are there.
func checkVariables(t *testing.T, where string, variables map[string]string) {
	t.Helper()
	var known []string
	for _, variable := range config.Variables() {
		known = append(known, variable.Name)
	}
	for name := range variables {
		if !slices.Contains(known, name) && !slices.Contains(notOurs, name) {
			t.Errorf("%s sets %s, which the configuration does not know", where, name)
		}
	}
	for _, name := range required {
		if variables[name] == "" {
			t.Errorf("%s does not set %s", where, name)
		}
	}
}
