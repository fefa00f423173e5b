package cli

import (
	"bufio"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

const modulePath = "github.com/taktwork/takt"

// versionAnswer is what version prints as JSON.
type versionAnswer struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	// Takt is the version of the library in a worker of one's own.
	Takt     string `json:"takt,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Tzdata   string `json:"tzdata"`
}

func (b Build) version() string {
	if b.Version == "" {
		return "unknown"
	}
	return b.Version
}

func (s *session) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit, and those of Go and of the zone data",
		Long: `Prints the version, the commit if it is known, the release of Go, and which data of
time zones is used: that of the host if there is any, else what the binary carries.

` + exitCodes,
		Example: `  worker version
  worker version --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			answer := s.build.describe(os.DirFS("/"))
			if asJSON {
				return s.printJSON(answer)
			}
			rows := [][]string{{"worker", printable(answer.Version)}}
			for _, row := range [][]string{
				{"commit", answer.Commit}, {"takt", answer.Takt}, {"go", answer.Go + " " + answer.Platform}, {"tzdata", answer.Tzdata},
			} {
				if row[1] != "" {
					rows = append(rows, row)
				}
			}
			table(s.out, rows)
			return nil
		},
	}
	addJSON(cmd, &asJSON)
	return cmd
}

func (b Build) describe(root fs.FS) versionAnswer {
	answer := versionAnswer{
		Version: b.version(), Commit: b.Commit, Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Tzdata: tzdata(root),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return answer
	}
	for _, dependency := range info.Deps {
		if dependency.Path == modulePath {
			answer.Takt = dependency.Version
		}
	}
	if answer.Commit == "" {
		answer.Commit = revision(info)
	}
	return answer
}

func revision(info *debug.BuildInfo) string {
	var commit, modified string
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			commit = setting.Value
		case "vcs.modified":
			if setting.Value == "true" {
				modified = "-dirty"
			}
		}
	}
	if commit == "" {
		return ""
	}
	return commit + modified
}

// tzdata tells where zones are read from, in the order in which Go looks, and
// the release if the place names it.
func tzdata(root fs.FS) string {
	for _, dir := range []string{"usr/share/zoneinfo", "usr/share/lib/zoneinfo", "usr/lib/locale/TZ", "etc/zoneinfo"} {
		if _, err := fs.Stat(root, dir); err == nil {
			return strings.TrimSpace(release(root, dir) + " /" + dir)
		}
	}
	return "embedded, of " + runtime.Version()
}

func release(root fs.FS, dir string) string {
	if text, err := fs.ReadFile(root, dir+"/+VERSION"); err == nil {
		return printable(strings.TrimSpace(string(text)))
	}
	file, err := root.Open(dir + "/tzdata.zi")
	if err != nil {
		return ""
	}
	defer file.Close() //nolint:errcheck // opened to read
	line, _ := bufio.NewReader(file).ReadString('\n')
	version, ok := strings.CutPrefix(strings.TrimSpace(line), "# version ")
	if !ok {
		return ""
	}
	return printable(version)
}
