//go:build !faulty

package main

import "github.com/nanofleet/nanofleet/engine"

// outfit leaves a backend as it is; a build for tests puts faults around it.
func outfit[B engine.Backend](b B, err error) (engine.Backend, error) { return b, err }
