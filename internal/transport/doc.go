// Package transport carries the exchanges of a fleet: QUIC streams between nodes, and
// TLS over TCP on the same port for bulk bytes.
//
// A [Listener] is a node's fleet port. A [Conn] is one QUIC connection between two
// nodes, authenticated both ways, on which either side opens a [Stream]; every stream
// starts with a wire.StreamHeader that says what it is. The accepting side checks the
// header's kind against the peer's role before anyone sees the stream: a peer without
// a certificate can only enrol, one with an expired certificate can only renew, and
// only coordinators speak raft.
//
// A peer's identity is what its certificate said when the connection began. Whoever
// revokes a node closes its connections; whoever renews a certificate need not.
//
// Caveats: a connection to a host that vanished is noticed by silence, after
// [IdleTimeout]; one to a process that restarted on the same port at the next packet
// (stateless reset). Dial waits as long as its context lets it.
package transport
