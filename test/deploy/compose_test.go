package deploy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func compose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{repository(t, "deploy", "compose.yaml")}, cli.WithName("takt"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeHasTheWorkerItsStoresAndABoard(t *testing.T) {
	project := compose(t)
	want := []string{"bull-board", "migrate", "postgres", "redis", "worker"}
	if got := project.ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	for _, name := range []string{"worker", "migrate"} {
		service := project.Services[name]
		variables := map[string]string{}
		for key, value := range service.Environment {
			variables[key] = *value
		}
		checkVariables(t, "compose "+name, variables)
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may write to its root, or has rights", name)
		}
		if len(service.Ports) > 0 || len(service.Expose) > 0 {
			t.Errorf("%s has ports", name)
		}
		if want := "/var/lib/takt:uid=65532,gid=65532,mode=0700"; !slices.Equal(service.Tmpfs, []string{want}) {
			t.Errorf("%s writes to %v, want %s", name, service.Tmpfs, want)
		}
	}
	worker := project.Services["worker"]
	if grace := time.Duration(*worker.StopGracePeriod); grace < 25*time.Second+graceMargin {
		t.Errorf("a worker has %s to stop", grace)
	}
	if *worker.Deploy.Replicas != 2 {
		t.Errorf("%d workers, want 2", *worker.Deploy.Replicas)
	}
	if worker.DependsOn["migrate"].Condition != types.ServiceConditionCompletedSuccessfully {
		t.Error("a worker does not wait for the schema")
	}
	for name, service := range project.Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is reached from outside, at %s", name, port.HostIP)
			}
		}
	}
}
