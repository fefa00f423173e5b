package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// Where the schemas come from: files of Go modules, checked by the sums that the checksum database has for them.
const (
	// The OpenAPI documents of Kubernetes 1.30, as its API servers publish them.
	schemasModule = "sigs.k8s.io/kubectl-validate@v0.0.4"
	schemasSum    = "h1:tGKuv0awYHn11Cb6KPsZKxUmHgavF46K3NvVH0Nse9U="
	// KEDA's own definitions.
	kedaModule = "github.com/kedacore/keda/v2@v2.21.0"
	kedaSum    = "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="
)

// fetched returns the directory of a module that the proxy served.
func fetched(t testing.TB, module, sum string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module).Output()
	var answer struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(output, &answer); jsonErr != nil || answer.Error != "" {
		t.Fatalf("go mod download %s: %v %s", module, err, answer.Error)
	}
	if answer.Sum != sum {
		t.Fatalf("%s has the sum %s, want %s", module, answer.Sum, sum)
	}
	return answer.Dir
}

// schemas knows what objects of each kind must look like.
type schemas struct {
	keda     string
	builtins string
}

func newSchemas(t testing.TB) *schemas {
	t.Helper()
	return &schemas{
		builtins: filepath.Join(fetched(t, schemasModule, schemasSum), "pkg", "openapiclient", "builtins", "1.30"),
		keda:     filepath.Join(fetched(t, kedaModule, kedaSum), "config", "crd", "bases"),
	}
}

// validate returns what is wrong with a document. Unknown fields are: an API server drops them, or refuses them.
func (s *schemas) validate(t testing.TB, document string) error {
	t.Helper()
	plain, err := yaml.YAMLToJSONStrict([]byte(document))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	if err != nil {
		return err
	}
	head, _ := value.(map[string]any)
	apiVersion, _ := head["apiVersion"].(string)
	kind, _ := head["kind"].(string)
	schema, pointer := s.find(t, apiVersion, kind)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", strict(schema)); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json#" + pointer)
	if err != nil {
		return fmt.Errorf("%s %s: %w", apiVersion, kind, err)
	}
	return compiled.Validate(value)
}

// find returns the document that holds the schema of a kind, and where in it.
func (s *schemas) find(t testing.TB, apiVersion, kind string) (document any, pointer string) {
	t.Helper()
	group, version, grouped := strings.Cut(apiVersion, "/")
	if group == "keda.sh" {
		var definition struct {
			Spec struct {
				Versions []struct {
					Name   string
					Schema struct{ OpenAPIV3Schema any }
				}
			}
		}
		text := read(t, filepath.Join(s.keda, "keda.sh_"+strings.ToLower(kind)+"s.yaml"))
		if err := yaml.Unmarshal([]byte(text), &definition); err != nil {
			t.Fatal(err)
		}
		for _, v := range definition.Spec.Versions {
			if v.Name == version {
				return reread(t, v.Schema.OpenAPIV3Schema), ""
			}
		}
		t.Fatalf("KEDA has no %s %s", apiVersion, kind)
	}
	path := filepath.Join(s.builtins, "api", group+".json")
	if grouped {
		path = filepath.Join(s.builtins, "apis", group, version+".json")
	} else {
		group, version = "", group
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	definitions := value.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		kinds, _ := definitions[name].(map[string]any)["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			if k := k.(map[string]any); k["kind"] == kind && k["version"] == version && k["group"] == group {
				return value, "/components/schemas/" + name
			}
		}
	}
	t.Fatalf("Kubernetes 1.30 has no %s %s", apiVersion, kind)
	return nil, ""
}

func reread(t testing.TB, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	again, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// strict forbids what a schema that lists properties does not list.
func strict(schema any) any {
	switch schema := schema.(type) {
	case map[string]any:
		for _, part := range schema {
			strict(part)
		}
		_, lists := schema["properties"].(map[string]any)
		_, more := schema["additionalProperties"]
		if lists && !more && schema["x-kubernetes-preserve-unknown-fields"] != true {
			schema["additionalProperties"] = false
		}
	case []any:
		for _, part := range schema {
			strict(part)
		}
	}
	return schema
}

// variants are all manifests that deploy/kubernetes can make, by name.
func variants(t testing.TB) map[string]string {
	t.Helper()
	dir := kubernetes(t)
	all := map[string]string{"template": template(t, variablesOfTheTemplate(t)).want(t, 0).stdout}
	for _, environment := range environments {
		all[environment] = kustomize(t, filepath.Join(dir, "overlays", environment))
	}
	production := filepath.Join(dir, "overlays", "production", "kustomization.yaml")
	plain := read(t, production)
	for _, autoscaler := range []string{"keda", "hpa"} {
		write(t, production, plain+"components: [../../autoscaling/"+autoscaler+"]\n", 0o644)
		all["production with "+autoscaler] = kustomize(t, filepath.Dir(production))
	}
	return all
}

func TestAllManifestsAreValid(t *testing.T) {
	s := newSchemas(t)
	for name, text := range variants(t) {
		kinds := map[string]int{}
		for _, document := range documents(text) {
			if err := s.validate(t, document); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, document)
			}
			kinds[objects(t, document)[0].Kind]++
		}
		for _, kind := range []string{"ConfigMap", "Secret", "Deployment", "Job", "PodDisruptionBudget", "NetworkPolicy"} {
			if kinds[kind] == 0 {
				t.Errorf("%s has no %s", name, kind)
			}
		}
		if kinds["Service"]+kinds["Ingress"] > 0 {
			t.Errorf("%s opens the worker to the network: %v", name, kinds)
		}
	}
}

func TestMistakesInManifestsAreFound(t *testing.T) {
	s := newSchemas(t)
	valid := kustomize(t, filepath.Join(kubernetes(t), "overlays", "demo"))
	for _, c := range [][2]string{
		{"replicas: 2", "replicas: two"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"},
		{"maxUnavailable: 1\n", "maxUnavailable: true\n"},
		{"restartPolicy: Never", "restartPolicies: Never"},
		{"name: worker\n        readinessProbe", "readinessProbe"},
		{"image: ", "images: "},
		{"protocol: TCP", "proto: TCP"},
	} {
		broken := strings.Replace(valid, c[0], c[1], 1)
		if broken == valid {
			t.Errorf("%q is not in the manifests", c[0])
		}
		found := false
		for _, document := range documents(broken) {
			found = found || s.validate(t, document) != nil
		}
		if !found {
			t.Errorf("%q in place of %q passes", c[1], c[0])
		}
	}
}
