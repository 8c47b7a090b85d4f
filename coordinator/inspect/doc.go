// Package inspect says what a model is and what it will need, from the headers of its
// files: no weight is read, whatever the size of the model.
//
// [Model] describes the files at a path, [Plan] computes what a replica takes on a
// device to the byte, and [Sparse] lays the headers of a model that lies elsewhere out
// as if its files were here. The coordinator answers with them for the models it has,
// the command line for those it has not.
package inspect
