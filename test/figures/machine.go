package figures

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine is what the figures were measured on.
type Machine struct {
	Cores int    `json:"cores"`
	CPU   string `json:"cpu"`
	Go    string `json:"go"`
	OS    string `json:"os"`
	Load  string `json:"load"`
}

// ThisMachine describes the machine as it is now.
func ThisMachine() Machine {
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	load, _ := os.ReadFile("/proc/loadavg")
	return Machine{
		Cores: runtime.GOMAXPROCS(0), CPU: cpuModel(string(cpu)), Go: runtime.Version(),
		OS: runtime.GOOS + "/" + runtime.GOARCH, Load: firstField(string(load)),
	}
}

// String is the line above the table.
func (m Machine) String() string {
	return fmt.Sprintf("%d cores, %s, %s %s, load average %s before", m.Cores, m.CPU, m.Go, m.OS, m.Load)
}

// cpuModel finds the model in the text of /proc/cpuinfo.
func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		name, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

func firstField(text string) string {
	if fields := strings.Fields(text); len(fields) > 0 {
		return fields[0]
	}
	return "unknown"
}
