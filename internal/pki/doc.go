// Package pki gives every node of a fleet its identity.
//
// A fleet has one certificate authority, [CA]. A node holds an [Identity]: a key that
// stays, and a certificate of 24 hours whose SAN URI nanofleet://<role>/<node> says
// which [Peer] it is. A node without one joins with a [Token], which pins the
// authority by the hash of its public key, so that a newcomer knows the fleet before
// it sends anything.
//
// Certificates are checked by this authority and role, not by host names: a node may
// move. Only [CA.ServerTLS], which faces apps, carries names. Times arrive as
// arguments.
package pki
