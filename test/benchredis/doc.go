// Command benchredis works the same queues of one Redis with BullMQ's own
// Node worker and with Takt's, in turns, and prints what each takes as one
// table: each figure with its goal, and the ratio of the two where that is
// the goal.
//
//	go run ./test/benchredis [-run regexp] [-json] [-jobs n] [-rounds n] ...
//
// Both work in processes of their own that are started for each run, on the
// same jobs from the same producer, with their defaults: finished jobs are
// kept. Takt's works through the runner, as the binary's. Nothing here passes
// or fails: the exit code tells whether measuring worked.
//
// The processes are this program itself, given the argument "child", and the
// programs in node/, which need BullMQ installed (-bullmq).
package main
