// Package control lets the command line talk to a running worker on the same host, through a Unix socket and nothing else.
//
// A worker listens on <state dir>/<namespace>/<instance>.sock, mode 0600, in directories of mode 0700, and holds a lock on
// <instance>.lock for as long as it lives: the lock, not the socket file, says that a worker is there. A socket whose lock
// nobody holds is a leftover and is replaced; what is neither is refused and never deleted. The peer must run as the same
// user or as root, as the kernel says.
//
// The protocol is one request and one reply per connection, each a line of JSON:
//
//	{"method":"jobs","params":{"name":"report"}}
//	{"result":[…]}      or      {"error":{"code":"bad_data","message":"…"}}
//
// A request is at most 6 MiB and 64 levels deep, arrives within 5 s, and names nothing twice. A client that closes its
// connection, or its writing half, has gone away: the handler's context ends.
//
// The package knows no method: the assembly registers handlers. It prints nothing either: text from the wire is returned as
// it came, and whoever shows it on a terminal quotes it.
package control
