// Package source finds models where people keep them and brings their files to this
// machine: a Hugging Face Hub, an http(s) server, the store of an Ollama installation.
//
// [Resolve] turns a reference into a [Model]: its files with their sizes and, where
// the source says them, their digests. [Model.Fetch] downloads what is not on this
// machine, goes on where an earlier run stopped, and verifies every digest;
// [Model.Read] reads a part of a file without fetching it. Pickle files, which may run
// code when they are read, are refused by name, whatever the source.
//
// What a server says is not believed: names are checked before they become paths,
// sizes before space is taken, and a token goes to the host that it is for and to no
// other, wherever that host redirects.
package source
