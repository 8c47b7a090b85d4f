// Package state is the coordinator's replicated brain: the finite state machine
// behind the raft group `control`. Commands go in, one pure Apply changes the
// tables, reads come from snapshots. Time, ids and randomness arrive inside the
// commands. docs/formats/raft.md draws how a command is written in the log.
package state
