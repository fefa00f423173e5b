package deploy_test

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// object is what these tests look at of a Kubernetes object. Whether it is a valid one is for the schemas to say.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Data       map[string]string `json:"data"`
	StringData map[string]string `json:"stringData"`
	Spec       struct {
		Replicas                *int             `json:"replicas"`
		ProgressDeadlineSeconds int              `json:"progressDeadlineSeconds"`
		MinReadySeconds         int              `json:"minReadySeconds"`
		Strategy                strategy         `json:"strategy"`
		Selector                selector         `json:"selector"`
		Template                podTemplate      `json:"template"`
		MaxUnavailable          *int             `json:"maxUnavailable"`
		PodSelector             selector         `json:"podSelector"`
		PolicyTypes             []string         `json:"policyTypes"`
		Ingress                 []map[string]any `json:"ingress"`
		Egress                  []egress         `json:"egress"`
		ScaleTargetRef          named            `json:"scaleTargetRef"`
		Triggers                []struct {
			Metadata          map[string]string `json:"metadata"`
			AuthenticationRef named             `json:"authenticationRef"`
		} `json:"triggers"`
		SecretTargetRef []named `json:"secretTargetRef"`
		MinReplicas     int     `json:"minReplicas"`
		MinReplicaCount int     `json:"minReplicaCount"`
	} `json:"spec"`
}

type named struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type selector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type strategy struct {
	Type          string `json:"type"`
	RollingUpdate struct {
		MaxSurge       int `json:"maxSurge"`
		MaxUnavailable int `json:"maxUnavailable"`
	} `json:"rollingUpdate"`
}

type egress struct {
	Ports []struct {
		Port int `json:"port"`
	} `json:"ports"`
}

type podTemplate struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec podSpec `json:"spec"`
}

type podSpec struct {
	TerminationGracePeriodSeconds int    `json:"terminationGracePeriodSeconds"`
	AutomountServiceAccountToken  *bool  `json:"automountServiceAccountToken"`
	EnableServiceLinks            *bool  `json:"enableServiceLinks"`
	HostNetwork                   bool   `json:"hostNetwork"`
	HostPID                       bool   `json:"hostPID"`
	HostIPC                       bool   `json:"hostIPC"`
	ServiceAccountName            string `json:"serviceAccountName"`
	RestartPolicy                 string `json:"restartPolicy"`
	SecurityContext               struct {
		RunAsNonRoot   bool `json:"runAsNonRoot"`
		RunAsUser      int  `json:"runAsUser"`
		RunAsGroup     int  `json:"runAsGroup"`
		FSGroup        int  `json:"fsGroup"`
		SeccompProfile struct {
			Type string `json:"type"`
		} `json:"seccompProfile"`
	} `json:"securityContext"`
	TopologySpreadConstraints []struct {
		TopologyKey   string   `json:"topologyKey"`
		LabelSelector selector `json:"labelSelector"`
	} `json:"topologySpreadConstraints"`
	InitContainers []container `json:"initContainers"`
	Containers     []container `json:"containers"`
	Volumes        []volume    `json:"volumes"`
}

type volume struct {
	Name     string         `json:"name"`
	HostPath map[string]any `json:"hostPath"`
	EmptyDir map[string]any `json:"emptyDir"`
	Secret   *struct {
		SecretName  string `json:"secretName"`
		DefaultMode int    `json:"defaultMode"`
	} `json:"secret"`
}

type container struct {
	Name      string           `json:"name"`
	Image     string           `json:"image"`
	Args      []string         `json:"args"`
	Command   []string         `json:"command"`
	Ports     []map[string]any `json:"ports"`
	Env       []envVar         `json:"env"`
	EnvFrom   []envSource      `json:"envFrom"`
	Resources struct {
		Requests map[string]string `json:"requests"`
		Limits   map[string]string `json:"limits"`
	} `json:"resources"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `json:"allowPrivilegeEscalation"`
		Privileged               *bool `json:"privileged"`
		ReadOnlyRootFilesystem   bool  `json:"readOnlyRootFilesystem"`
		Capabilities             struct {
			Add  []string `json:"add"`
			Drop []string `json:"drop"`
		} `json:"capabilities"`
	} `json:"securityContext"`
	StartupProbe   *probe  `json:"startupProbe"`
	LivenessProbe  *probe  `json:"livenessProbe"`
	ReadinessProbe *probe  `json:"readinessProbe"`
	VolumeMounts   []mount `json:"volumeMounts"`
}

type mount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
	ReadOnly  bool   `json:"readOnly"`
}

type probe struct {
	Exec struct {
		Command []string `json:"command"`
	} `json:"exec"`
	PeriodSeconds    int `json:"periodSeconds"`
	TimeoutSeconds   int `json:"timeoutSeconds"`
	FailureThreshold int `json:"failureThreshold"`
}

type envVar struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	ValueFrom *struct {
		FieldRef struct {
			FieldPath string `json:"fieldPath"`
		} `json:"fieldRef"`
	} `json:"valueFrom"`
}

type envSource struct {
	ConfigMapRef *named `json:"configMapRef"`
	SecretRef    *named `json:"secretRef"`
}

// documents splits YAML into its documents.
func documents(text string) []string {
	var all []string
	for document := range strings.SplitSeq(text, "\n---\n") {
		if strings.TrimSpace(document) != "" {
			all = append(all, document)
		}
	}
	return all
}

func objects(t testing.TB, text string) []object {
	t.Helper()
	var all []object
	for _, document := range documents(text) {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		all = append(all, o)
	}
	return all
}

// only returns the one object of the kind, and of the name unless that is empty.
func only(t testing.TB, all []object, kind, name string) object {
	t.Helper()
	var found []object
	for _, o := range all {
		if o.Kind == kind && (name == "" || o.Metadata.Name == name) {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of kind %s named %q, want 1", len(found), kind, name)
	}
	return found[0]
}

func decode(t testing.TB, text string) string {
	t.Helper()
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// environment is what Kubernetes gives a container: later sources win, and its own variables win over all.
func (c container) environment(t testing.TB, all []object, labels map[string]string) map[string]string {
	t.Helper()
	result := map[string]string{}
	for _, source := range c.EnvFrom {
		if source.ConfigMapRef != nil {
			maps.Copy(result, only(t, all, "ConfigMap", source.ConfigMapRef.Name).Data)
			continue
		}
		secret := only(t, all, "Secret", source.SecretRef.Name)
		for name, value := range secret.Data {
			result[name] = decode(t, value)
		}
		maps.Copy(result, secret.StringData)
	}
	for _, variable := range c.Env {
		result[variable.Name] = variable.Value
		if from := variable.ValueFrom; from != nil {
			label := strings.TrimSuffix(strings.TrimPrefix(from.FieldRef.FieldPath, "metadata.labels['"), "']")
			result[variable.Name] = labels[label]
		}
	}
	return result
}
