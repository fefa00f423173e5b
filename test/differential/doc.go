// Package differential holds no code of its own: its tests play random
// sequences of operations twice, on one database with Node's BullMQ alone and
// on another with Takt in the place of whoever Takt can be: workers, producers
// of jobs and flows, operators, who makes job schedulers, and who reads. They
// compare what every step answers, what getters say in between, and everything
// that Redis holds afterwards. `make
// differential` plays many, `make test` a few. A sequence that differs is cut
// down to the steps that matter and printed; as a file in testdata it is
// played again for ever.
//
// Workers' steps are always Takt's on its database. Of the others 15 of 100 are
// Node's on both, as in a fleet of both. Node's clock stands
// still during a step, and every step has a millisecond of its own; delays are
// a millisecond or hours, so that no step depends on how long others took.
//
// These things may differ, and are made equal:
//
//   - Times are compared in whole hours since the sequence began.
//   - Values of locks, that is tokens.
//   - The order of the members of JSON objects (protocol 1.7), and how stacks
//     look below their message.
//   - The field nrjid, which BullMQ 5 writes and nobody needs (protocol 6.1).
//   - The version in meta, if it is not another program's: our producer signs
//     queues as Node's do when they are made (protocol 1.3).
//   - The base marker when no job is ready, or the queue is blocked: Node
//     writes one after every fetch (protocol 9, F5). And where a job is ready
//     ours may write one where Node writes none: for a job put back among the
//     prioritized ones (protocol 2.8), for it wakes a worker, no more.
//   - The delay marker of a step that puts a job off and takes another: BullMQ
//     writes none (5.81), or one for a job that the step takes. Ours is for
//     the first job that is still delayed (protocol 2.7).
//   - Errors, which are compared by their classes (errorClasses), and answers
//     that one side alone has.
//   - The order in which jobs are removed with those above them; and of a parent
//     that goes with its children Node tells, and marks, that it is ready first.
//   - In what is read: the delay of a scheduler's run, the order of schedulers
//     and of children, and jobs of which no more than an id is left in a list.
//   - The delay of jobs that promoteJobs made ready, which Node leaves with them.
//   - The order of events of different jobs in steps that end several: ours
//     purges finished jobs once for the whole step (protocol 9, F4 and F9).
//   - A job that its children do not let complete: ours takes the next job
//     before it writes the failure, Node after (protocol 9, F4). Node does here
//     what ours does; steps that end several jobs have no such job.
//   - The lock and the active entry of a job whose hash was gone when its worker
//     ended it: ours clears them away (protocol 3.4).
//
// Some steps are Node's on both databases where ours differs by intention
// (alike in twins):
//
//   - Options that ours refuses or cannot write: custom ones, retentions that are
//     numbers, negative or have a limit, a back-off of 0, modes of deduplication
//     that no version has rules for, keys of jobs with parents.
//   - Retries of jobs with a priority by BullMQ 5, and of all jobs at once if
//     some have a priority, are LIFO or, with BullMQ 5, have parents; promotions of
//     all jobs with priorities. Ours does what BullMQ 6 does with a single one.
//   - Jobs of flows that are there already, with BullMQ 5 (protocol 6.1), or
//     that are in a flow twice.
//   - A pause of a paused queue and the end of none, of which Node tells again.
//   - The limit of a clean that jobs count for which stay, and waiting jobs in
//     two lists; removals of many jobs that release several parents, whose order
//     is any.
//   - The end of a queue that has a rate limit or parents that wait, which Node
//     leaves behind.
//   - A job without a parent that is to be taken from it: an error for Node.
//   - Jobs that are read with BullMQ 5.70 after one was taken from its parent,
//     which it goes on showing.
//   - A job scheduler that is changed while its run waits in a queue that
//     BullMQ 6 paused: Node leaves that run beside the new one, ours replaces
//     it as in a queue that is not paused (protocol 2.18).
//
// And these things are kept out of sequences:
//
//   - A job that would wait for itself, which ours refuses.
//   - The completion of a job whose children do not let it and whose lock is gone:
//     Node looks at the children first, and makes jobs ready that were delayed
//     when it tries to fail the job.
//   - A job with a deduplication key whose owner is gone: BullMQ 5 refuses it
//     for ever, ours as BullMQ 6 does not (protocol 2.17).
//   - A job with a deduplication key whose owner is a child: if it is replaced,
//     Node leaves the parent waiting for it, ours does not.
//   - The end of a job that another one is kept to follow, if a job of that one's
//     id came in between: Node has two jobs of one id then, ours does without
//     the one that was kept.
//   - Ends of several jobs at once while a finished job is kept for which a parent
//     waits: ours may purge it, and make the parent ready, after it has put back
//     others (protocol 9, F9).
//   - What removeOrphanedJobs takes for orphans: ours leaves keys that are no jobs.
//   - The crash of a run whose scheduler is gone, which BullMQ 5.70 does not count.
//   - Ids in lists without a job, which Node works (protocol T11, T45).
//   - A rate limit by hand without any other, which Node's workers do not
//     honour (protocol 3.7).
//   - Progress, data and log lines of a job whose lock is gone: Node does not
//     look at it.
//   - A back-off that only a function of the worker knows (protocol 3.6).
//   - Taking several jobs at once under a rate limit of BullMQ 6, whose jobs
//     that are only to be failed do not count.
package differential
