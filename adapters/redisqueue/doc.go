// Package redisqueue keeps queues and the ledger in Redis. Queues have the
// layout of BullMQ 5.70 to 6.7, so that Node programs and Takt share them:
// either may enqueue for the other, and both may work one queue at a time.
// The ledger and what else BullMQ does not know lives beside it, under keys
// that begin with takt:.
//
// Every change is one Lua script (lua/), atomic in Redis. Scripts that change
// something are called by a session and numbered: the script keeps the reply
// to the session's latest call, and a call that is repeated under its number,
// because its reply was lost, gets that reply and changes nothing. So no call
// ends with an unknown outcome while its context lives.
package redisqueue
