// Package agents holds a coordinator's sessions with the agents of the fleet: it
// enrols them, tells each what it shall run, keeps what they report, and opens
// request streams to them. All of it is memory, rebuilt within seconds of a restart;
// what must last goes through raft (see coordinator/state).
package agents
