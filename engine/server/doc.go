// Package server is the engine process: it speaks the wire contract on a unix socket
// around one engine.Engine.
//
// Each connection carries one exchange, as a QUIC stream does. A control connection
// takes EngineCommands and gives EngineEvents; there is one at a time, and a new one
// replaces the old, so that an agent that restarted finds its engine again: it is told
// at once whether the engine is loading, ready or failed. A generate connection takes
// one GenerateRequest and gives GenerateEvents; when its peer closes or shuts its
// sending half, the sequence is cancelled.
//
// A Load that fails is told as failed and leaves the process waiting for another Load.
// A Load of what is loaded already is answered with Ready; a Load of anything else is
// refused, since a process serves one instance in its life. Totals in Stats include
// the warm-up request.
//
// The process ends on Stop, when its context ends, when the backend is lost (with an
// error, after telling the agent), and when nobody has been connected for the orphan
// timeout: any open control or generate connection of our own user counts as someone,
// and the time runs from the last one's end.
package server
