// Package hostile is a table of model files that are wrong on purpose, each with the
// refusal it must meet: made from the tiny model by one change, opened as an engine
// opens a model. None may load, panic, wait, or cost memory beyond its size.
package hostile
