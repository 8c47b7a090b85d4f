// Package obs is how a process is observed: JSON logs, the request id that ties the
// log lines of one request together across processes, and the metrics registry.
//
// A logger from [Logger] adds the context's request id to every line written with it
// (InfoContext and the like), so that nobody has to pass the id by hand.
package obs
