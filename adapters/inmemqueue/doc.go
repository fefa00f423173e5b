// Package inmemqueue keeps queues, the ledger and the history of runs in the
// memory of one process. It is the reference for what the ports mean and the
// backend of a worker that has no store; nothing survives the process.
//
// # Queues
//
// [New] returns a [Backend] with any number of queues, each under a mutex of
// its own. Jobs without priority are worked first, in order, then the
// prioritized ones, most urgent first and in order within a priority. A job
// that becomes due joins the end of the line; one that is handed back or
// recovered joins the front.
//
// Nothing polls: whoever makes a job workable hands it to the consumer that
// has waited longest, and a single timer a queue runs only while a consumer
// waits and a delayed job or a rate limit will end. Leases are looked at in
// Recover alone, so a lease that ran out and was not yet recovered can still
// be settled or extended.
//
// # Bounds
//
// A queue holds at most MaxJobs jobs and MaxBytes bytes of payloads, results
// and notes, finished jobs included. Finished jobs give way: when room is
// needed the oldest completed ones are dropped, then the oldest failed ones,
// whatever their retention says. Only when the jobs that are still to be done
// fill the queue is an enqueue refused with [ports.ErrQueueFull]. Retention is
// applied when a job finishes, as in BullMQ. A removed job leaves behind its
// receipt, about 150 bytes for 24 hours whatever their number, and a
// deduplication key with a TTL for as long as that lasts.
package inmemqueue
