package model

import "github.com/nanofleet/nanofleet/engine/abi"

// op appends one operation.
func (d *design) op(op abi.Op) { d.plan.Ops = append(d.plan.Ops, op) }

// norm appends an RMS norm and its weight.
func (d *design) norm(name, source string, in, out uint32) {
	width := d.config.Hidden
	d.op(abi.Op{Kind: abi.OpNorm, In: in, Out: out, InFeatures: width, OutFeatures: [3]uint32{width},
		Weight: name, NormKind: abi.NormRMS, NormEps: d.config.NormEps})
	d.matrix(name, 0, source, 1, width)
}

// matrix names one part of a weight; a vector has one row.
func (d *design) matrix(name string, n uint32, source string, rows, cols uint32) {
	d.parts = append(d.parts, part{name, n, source + ".weight", rows, cols})
}

// bias names one part of a bias, where there is one.
func (d *design) bias(present bool, name string, n uint32, source string, width uint32) {
	if present {
		d.parts = append(d.parts, part{name, n, source + ".bias", 1, width})
	}
}

// when gives name or, without the option, nothing.
func when(present bool, name string) string {
	if present {
		return name
	}
	return ""
}
