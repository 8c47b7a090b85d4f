// Package wire is the contract between coordinator, agent and engine: protobuf
// messages and the framing that carries them over a QUIC stream or a unix socket.
// Generated code is committed; `make proto` makes it again.
//
// A stream is one exchange. It opens with a StreamHeader frame, then carries the
// messages of its kind. A frame is a 4-byte big-endian length and that many bytes
// of protobuf; docs/formats/wire.md draws it. Numbers are never reused, unknown
// fields are ignored, and [Capability] says what a peer understands.
package wire

//go:generate protoc --go_out=. --go_opt=paths=source_relative stream.proto generate.proto engine.proto agent.proto
