// Package node drives real BullMQ clients for tests: an [Agent] is a Node
// process with one version of BullMQ, a [Client] is what a test uses of it.
// Whatever goes wrong in a method of Client and of what it makes fails the
// test, except where a method says otherwise.
package node
