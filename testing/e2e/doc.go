// Package e2e proves a fleet end to end: the real binary, its real processes over
// real sockets, and the tiny committed model on one thread.
package e2e
