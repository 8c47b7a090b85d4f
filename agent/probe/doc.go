// Package probe reads what a host's engines can run on. A [Probe] knows one kind of
// device; [Host] is all that this build looks for. Absence of a device is a normal
// answer.
package probe
