package bullmqtable_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/bullmqtable"
)

// declared is a small BullMQ: its Queue as it is declared.
func declared(queue string) fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"cron-parser/types/common.d.ts":                file("export interface ParserOptions {\n    tz?: string\n    utc?: boolean\n}\n"),
		"bullmq-1.0.0/dist/esm/interfaces/repeat.d.ts": file("export interface RepeatOptions extends Omit<ParserOptions, 'utc'> {\n    every?: number;\n}\n"),
		"bullmq-1.0.0/dist/esm/types/keep.d.ts":        file("export type KeepJobs = {\n    count: number;\n} | {\n    age: number;\n    count?: number;\n};\n"),
		"bullmq-1.0.0/dist/esm/classes/queue.d.ts":     file(queue),
	}
}

const sampleQueue = `
/** A queue; its class is abstract. */
export declare class Base<T = () => void> extends EventEmitter implements Closer {
    readonly name: string;
    protected hidden: number;
    private gone;
    static create<T>(name: T, opts: { deep: { a: string; }; }): Promise<Queue<T>>;
    get open(): boolean; // not a call
    set open(open: boolean);
    close(): Promise<void>;
}
export declare class Queue<T extends keyof X<() => string> = any> extends Base<T> {
    constructor(name: string);
    close(force: boolean): void;
    close(): void;
    _inner(): void;
}
export interface QueueOptions {
    removeOnComplete?: boolean | KeepJobs;
    limits: KeepJobs;
    streams?: {
        events: {
            maxLen: number;
        };
    };
    text: 'a;b' | "c}";
}
export interface QueueListener {
    'ioredis:close': () => void;
}
`

func TestRowsAreThePublicMembersInheritedOnesIncluded(t *testing.T) {
	library, err := bullmqtable.Load(declared(sampleQueue), "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range bullmqtable.Rows(library) {
		name := row.Name
		if row.Call {
			name += "()"
		}
		got = append(got, name)
	}
	want := []string{
		"Queue.close()", "Queue.name", "Queue.create()", "Queue.open",
		"QueueOptions.removeOnComplete", "QueueOptions.removeOnComplete.count", "QueueOptions.removeOnComplete.age",
		"QueueOptions.limits.count", "QueueOptions.limits.age", "QueueOptions.streams.events.maxLen", "QueueOptions.text",
		"QueueListener.ioredis:close", "RepeatOptions.every", "RepeatOptions.tz",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestLoadSaysWhatToInstall(t *testing.T) {
	if _, err := bullmqtable.Load(fstest.MapFS{}, "1.0.0"); err == nil || !strings.Contains(err.Error(), ".ci/need-interop") {
		t.Errorf("Load() = %v, want it to name what installs the packages", err)
	}
}

// interop is a package of tests like test/interop.
const interop = `package interop_test
func TestAll(t *testing.T) { forVersions(t, fast, func(t *testing.T, l *lab) { newLab(t, l.Version) }) }
func TestSome(t *testing.T) { forSome(t, full, []string{node.V5Last, node.V6}, func(*testing.T, *lab) {}) }
func TestOfAList(t *testing.T) { forSome(t, full, fives(), func(*testing.T, *lab) {}) }
func TestThroughAnother(t *testing.T) { helper(t) }
func TestMatrix(t *testing.T) { for _, cell := range cells() { newLab(t, cell.version) } }
func TestEach(t *testing.T) { for _, version := range node.Versions() { newLab(t, version) } }
func TestAlone(t *testing.T) { labWithoutNode(t) }
func helper(t *testing.T) { forSome(t, fast, []string{node.V5First}, nil) }
func fives() []string { return []string{node.V5First, node.V5Last} }
func cells() []cell { return []cell{{node.V5First}, {node.V6}} }
func forVersions(t *testing.T, in part, check func()) { forSome(t, in, node.Versions(), check) }
func forSome(t *testing.T, in part, versions []string, check func()) { newLab(t, versions[0]) }
func newLab(t *testing.T, version string) *lab { return nil }
`

func repositoryOf(source string) fstest.MapFS {
	return fstest.MapFS{"test/interop/check_test.go": {Data: []byte(source)}}
}

func TestVersionsAreReadFromTheSourceOfATest(t *testing.T) {
	tests := bullmqtable.NewTests(repositoryOf(interop))
	for name, want := range map[string]string{
		"TestAll": "5.70.1 5.81.5 6.7.0", "TestSome": "5.81.5 6.7.0", "TestOfAList": "5.70.1 5.81.5",
		"TestThroughAnother": "5.70.1", "TestMatrix": "5.70.1 6.7.0", "TestEach": "5.70.1 5.81.5 6.7.0", "TestAlone": "",
	} {
		versions, err := tests.Versions(bullmqtable.TestName{Dir: "test/interop", Name: name})
		if got := strings.Join(versions, " "); err != nil || got != want {
			t.Errorf("Versions(%s) = %s, %v, want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"TestGone", "helper"} {
		if _, err := tests.Versions(bullmqtable.TestName{Dir: "test/interop", Name: name}); err == nil {
			t.Errorf("Versions(%s) = no error, want one: it is no test", name)
		}
	}
}

func TestTheTableSaysWhatIsProvedAndWhatIsWrong(t *testing.T) {
	every := []string{"5.70.1", "5.81.5", "6.7.0"}
	rows := []bullmqtable.Row{
		{Name: "Queue.both", Versions: every},
		{Name: "Queue.new", Versions: every[1:]},
		{Name: "Queue.half", Versions: every},
		{Name: "Queue.lacking", Versions: every},
		{Name: "Queue.own", Versions: every},
		{Name: "Queue.untested", Versions: every},
		{Name: "Worker.on", Versions: every},
		{Name: "Queue.forgotten", Versions: every},
		{Name: "Queue.wrong", Versions: every},
	}
	proofs, err := bullmqtable.ParseProofs(`
# a comment
Queue.both | TestAll | =
Queue.new | = | TestSome
Queue.half | TestAll | TestSome
Queue.lacking | TestAll | no: nothing of the kind
Queue.own | TestAll | none: inside of Node
Queue.untested | none: inside of Node | =
*.on | TestAll, TestSome | =
Queue.wrong | TestGone | =
Queue.renamed | TestAll | =
`)
	if err != nil {
		t.Fatal(err)
	}
	lines, problems := bullmqtable.Table(rows, proofs, bullmqtable.NewTests(repositoryOf(interop)))
	var proved []string
	for _, line := range lines {
		if line.Proved() {
			proved = append(proved, line.Name)
		}
	}
	if diff := cmp.Diff([]string{"Queue.both", "Queue.new", "Queue.own", "Worker.on"}, proved); diff != "" {
		t.Errorf("proved (-want +got):\n%s", diff)
	}
	wrong := []string{
		"Queue.forgotten has no proof", "Queue.wrong: package test/interop has no TestGone",
		"Queue.wrong: package test/interop has no TestGone", "line 11: Queue.renamed is not in BullMQ",
	}
	if diff := cmp.Diff(wrong, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestParseProofsRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{"Queue.add | TestAll", "Queue.add | TestAll | ", "Queue.add | some prose | =", "Queue.add | = | ="} {
		if _, err := bullmqtable.ParseProofs(text); err == nil {
			t.Errorf("ParseProofs(%q) = no error, want one", text)
		}
	}
}
