// Package conf fills a command's settings from four layers: what the command line
// says, then the environment, then a file, then the defaults.
//
// A command's flags are the schema: the flag `ca-file` is the variable
// NANOFLEET_CA_FILE and the key `ca-file` of the file. Files are YAML or, since JSON is
// YAML, JSON. A key that the command does not have is refused by name; variables are
// not, since one environment serves several commands. Bounds are checked by the
// command's own Validate, which names keys as flags do.
package conf
