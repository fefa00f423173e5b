// Package proxy is a TCP proxy for tests that breaks connections on purpose:
// between a client and a server that answers one request at a time it drops
// replies of requests that were carried out, delays them, or falls silent.
package proxy
