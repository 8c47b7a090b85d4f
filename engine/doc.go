// Package engine runs one model instance: it admits requests, plans steps,
// submits them to a Backend and turns results into token events.
package engine
