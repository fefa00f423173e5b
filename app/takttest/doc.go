// Package takttest is a kit for the tests of features: it runs a worker with
// everything in memory inside a bubble of package testing/synctest, in which
// time passes only when all goroutines wait. A day of ticks takes a few
// tenths of a second, and nothing depends on how fast the machine is.
//
//	func TestTheReportIsRenderedAtThree(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			w := takttest.Start(t, reports.Module)
//			w.Advance(24 * time.Hour)
//			w.WantRuns("reports.nightly", domain.EventFired, 1)
//			w.WantCompleted("reports", "reports.nightly", 1)
//		})
//	}
//
// The run of this job puts a job on a queue, and ends with that as fired; one
// whose function does the work ends as [domain.EventCompleted].
//
// A bubble begins at midnight UTC on 1 January 2000; [Config] names another
// start. When the test ends, the worker is stopped, and the test fails if it
// left something undone: a job or run that had to be given back, or a job
// still on its queue. A goroutine that a feature leaves behind makes synctest
// itself fail the test.
package takttest
