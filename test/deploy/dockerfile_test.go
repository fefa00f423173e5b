package deploy_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	digest "github.com/opencontainers/go-digest"
)

// noRegistry answers for images without asking anybody: they have no settings.
type noRegistry struct{}

func (noRegistry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/go/bin:/usr/bin:/bin"]}}`), nil
}

// lint returns what BuildKit's own linter says, which is what docker build --check asks.
func lint(t *testing.T, dockerfile string) []string {
	t.Helper()
	source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", []byte(dockerfile))
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(dockerfile), dockerfile2llb.ConvertOpt{
		MetaResolver: noRegistry{},
		SourceMap:    source,
	})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	if results.Error != nil {
		said = append(said, results.Error.Message)
	}
	for _, warning := range results.Warnings {
		said = append(said, warning.RuleName+": "+warning.Detail)
	}
	return said
}

func TestTheDockerfilePassesTheLinterOfBuildKit(t *testing.T) {
	dockerfile := read(t, repository(t, "deploy", "Dockerfile"))
	for _, warning := range lint(t, dockerfile) {
		t.Error(warning)
	}
	for _, c := range [][2]string{
		{"AS build", "as Build"},
		{`CMD ["run"]`, "CMD run"},
		{"ARG COMMIT=unknown\n", "ARG DB_PASSWORD\n"},
		{"WORKDIR /src", "WORKDIR src"},
	} {
		broken := strings.Replace(dockerfile, c[0], c[1], 1)
		if broken == dockerfile || len(lint(t, broken)) == 0 {
			t.Errorf("%q in place of %q passes", c[1], c[0])
		}
	}
}

// TestTheDockerfileKeepsThePolicyOfImages checks what a linter has no opinion of.
func TestTheDockerfileKeepsThePolicyOfImages(t *testing.T) {
	dockerfile := read(t, repository(t, "deploy", "Dockerfile"))
	stages := strings.Split(dockerfile, "\nFROM ")
	last := stages[len(stages)-1]
	for _, text := range []string{
		"USER 65532:65532\n", `ENTRYPOINT ["/usr/local/bin/worker"]`, "STOPSIGNAL SIGTERM\n", "HEALTHCHECK ",
		"org.opencontainers.image.source=", "org.opencontainers.image.licenses=", "org.opencontainers.image.version=", "org.opencontainers.image.revision=",
	} {
		if !strings.Contains(last, text) {
			t.Errorf("the last stage has no %s", text)
		}
	}
	if !strings.HasPrefix(last, "scratch\n") || strings.Contains(last, "RUN ") {
		t.Error("the last stage is not an empty image that files are copied to")
	}
	if !regexp.MustCompile(`(?m)^ARG GO_IMAGE=golang:1\.26\.\d+-\w+@sha256:[0-9a-f]{64}$`).MatchString(dockerfile) {
		t.Error("the image of the first stage has no release or no digest")
	}
	arguments := regexp.MustCompile(`(?m)^ARG (\w+)`).FindAllStringSubmatch(dockerfile, -1)
	for _, argument := range arguments {
		switch argument[1] {
		case "GO_IMAGE", "TARGETOS", "TARGETARCH", "VERSION", "COMMIT", "SOURCE_DATE_EPOCH":
		default:
			t.Errorf("the build takes %s: settings and secrets come when the image runs", argument[1])
		}
	}
}
