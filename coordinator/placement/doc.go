// Package placement decides which instances shall exist and where: a pure function
// from a snapshot of the fleet to changes. It never moves an instance that can stay
// where it is; a replica goes to the device that fits its exact footprint, away
// from its siblings first, then where the least memory is left over. State re-checks
// every change when it is applied, so a decision made on an old snapshot does no harm.
package placement
