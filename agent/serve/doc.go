// Package serve carries request streams between coordinators and the engines of this
// host: the header and request go to the instance's socket, event frames come back as
// they are. Only the instance's id and each event's kind are looked at.
//
// The end of either side ends the other at once. A coordinator that cancels, or whose
// connection is lost, closes the engine's connection, which frees the slot within a
// step. An engine that ends before it said Finished or Error becomes an Error
// UNAVAILABLE event, at a frame boundary and after every whole event that came before:
// the router may go on with another instance from there. A stream that breaks without
// such an event means that the way to this agent is cut.
package serve
