// Package torture breaks what Takt runs on, and counts afterwards what was
// lost, done twice or left behind.
//
// Workers and producers are processes of their own, so that they can be
// killed. What is counted is what they, the injector of faults and Redis left
// behind in records that Takt's code does not write: the producer notes each
// accepted job in a file that it syncs, the handler appends a line as it
// begins and one as it ends, the injector notes each blow, and the queue is
// read by plain commands.
package torture
