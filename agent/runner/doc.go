// Package runner keeps the instances of one host in the state that the fleet desires:
// it pulls their files, starts an engine process for each, loads and watches it,
// starts it again when it dies, and drains and stops it when it is no longer wanted.
//
// An instance's life is a [State]. One pure function derives it from facts, another
// names the work that is due, and one goroutine per instance does that work; see
// state.go.
//
// Engines are processes in sessions of their own and outlive the agent. What the next
// agent needs to find them lies in the run directory: INSTANCE.pid names the process,
// INSTANCE.json says what it was started for, INSTANCE.sock is its socket. Their
// output goes to the log directory.
//
// A socket's path may be no longer than 107 bytes, a data directory's may be. So an
// engine is started with the run directory as its working directory and binds a
// relative path, and the agent dials through a handle of that directory
// (/proc/self/fd/N/INSTANCE.sock).
package runner
