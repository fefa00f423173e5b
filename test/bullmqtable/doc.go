// Package bullmqtable makes docs/bullmq.md: a table of everything that Node's
// BullMQ offers, and of the test that proves that Takt shares it.
//
// The rows are read from the declaration files of the installed versions of
// BullMQ ([Load], [Rows]), the proofs from a list kept by hand ([Proofs]), and
// the versions that a proof holds for from the source of the test it names
// ([Tests]). [Page] puts them together. `make bullmq-table` writes the page;
// the tests of this package fail when it is stale, when a row has no proof and
// when a proof names no test.
package bullmqtable
