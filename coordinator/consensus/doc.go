// Package consensus runs raft groups over the fleet's QUIC port.
//
// A [Group] is one replicated log with the state machine it drives. Its log and
// stable values lie in one bbolt file (see logstore), its snapshots in files. A [Hub]
// carries the raft streams of any number of groups between coordinators: one
// connection a peer, one stream an exchange, the group's name in the stream's header.
//
// Caveats: Apply works on the leader alone and says ErrNotLeader elsewhere; an Apply
// that fails with ErrUnknown may still be carried out later. A Group without state and
// without Bootstrap waits until a leader adds it.
package consensus
