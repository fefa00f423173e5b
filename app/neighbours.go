package app

import (
	"context"
	"strings"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
)

// warnOfNeighbours names the other live workers of the namespace on this host:
// with the ledger in memory none of them knows of the others' runs.
func (e *engine) warnOfNeighbours(ctx context.Context) {
	if e.stores.ledgerKind(e.settings) != config.LedgerMemory || e.settings.StateDir == "" || e.settings.SchedulerDisabled || len(e.registry.jobs) == 0 {
		return
	}
	live, err := control.Instances(e.settings.StateDir, e.settings.Namespace)
	if err != nil {
		e.log.DebugContext(ctx, "other workers not looked for", "err", err)
		return
	}
	var others []string
	for _, instance := range live {
		if instance.Name != e.settings.Instance {
			others = append(others, instance.Name)
		}
	}
	if len(others) > 0 {
		e.log.WarnContext(ctx, "another worker runs in this namespace; with the ledger in memory each fires every tick",
			"namespace", e.settings.Namespace, "instances", strings.Join(others, ", "))
	}
}
