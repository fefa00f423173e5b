package app

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
)

func defaultInstance() string { return strconv.Itoa(os.Getpid()) }

// newReplica names this process among all that ever shared a store: a process
// that starts again is another replica, for what it held before is lost to it.
func newReplica(instance string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	var suffix [3]byte
	_, _ = rand.Read(suffix[:]) // It never fails: it ends the program instead.
	return host + "-" + instance + "-" + hex.EncodeToString(suffix[:])
}

// functionName returns the name of a function or method without its package.
func functionName(fn any) string {
	value := reflect.ValueOf(fn)
	if value.Kind() != reflect.Func || value.IsNil() {
		return ""
	}
	name := strings.TrimSuffix(runtime.FuncForPC(value.Pointer()).Name(), "-fm")
	if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
		name = name[slash+1:]
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 && !strings.Contains(name, ".func") {
		name = name[dot+1:]
	}
	return name
}
