// Package link joins an agent to its fleet. A [Link] enrols the host with a one-use
// token, keeps its certificate fresh and holds a session with every coordinator:
// telemetry goes up, the node's whole desired state comes down, and request streams
// that a coordinator opens are handed to the [Host].
//
// The agent dials out only. A session that breaks is dialled again with a jittered
// pause of 50 ms to 2 s, for ever. The last desired state is kept on disk, so that an
// agent that starts while no coordinator can be reached still knows what to run.
//
// With several coordinators the newest word counts: a statement of a lower revision
// than the one at hand is ignored, unless it comes from the coordinator that gave
// that one, which has then been restored from a backup.
//
// A node that was revoked is refused at every dial. Its link goes on trying and logs
// the reason once; nobody sends it requests any more.
package link
