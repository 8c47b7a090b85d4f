// Package svc runs and finds processes: a Supervisor keeps children alive and stops
// them in order, and a pid file names a process so that it can be found again
// without mistaking another one for it.
package svc
