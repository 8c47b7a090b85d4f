package api

import "time"

// File is one file of a model version. Digest is "sha256:<hex>" of the whole file,
// Chunks the hex sha256 of each ChunkSize bytes; the last chunk may be shorter.
type File struct {
	Path      string   `json:"path" doc:"relative path within the model" maxLength:"1024"`
	Size      uint64   `json:"size" doc:"bytes"`
	Digest    string   `json:"digest" doc:"sha256:<hex> of the whole file" pattern:"^sha256:[0-9a-f]{64}$"`
	ChunkSize uint32   `json:"chunk_size" doc:"bytes of every chunk but the last" minimum:"65536" maximum:"67108864"`
	Chunks    []string `json:"chunks" doc:"hex sha256 of each chunk" maxItems:"1048576"`
}

// Upload opens the addition of a version.
type Upload struct {
	Files  []File `json:"files" minItems:"1" maxItems:"4096"`
	Origin Origin `json:"origin,omitzero" doc:"where the files came from, kept with the version"`
}

// Origin says where a version's files came from. Source and Revision together pin
// their content, where Revision is not empty.
type Origin struct {
	Source   string `json:"source,omitempty" doc:"without credentials, as in hf:org/name" maxLength:"256"`
	Revision string `json:"revision,omitempty" doc:"commit, digest or ETag" maxLength:"256"`
	Licence  string `json:"licence,omitempty" doc:"as the source or the files name it" maxLength:"256"`
}

// UploadState says which chunks the fleet still lacks, by file digest.
type UploadState struct {
	Version string           `json:"version" doc:"id the version will have"`
	Missing map[string][]int `json:"missing" doc:"chunk numbers by file digest"`
}

// Version is an immutable set of files under a model's name.
type Version struct {
	ID           string    `json:"id"`
	Model        string    `json:"model"`
	Architecture string    `json:"architecture"`
	Format       string    `json:"format"`
	Parameters   uint64    `json:"parameters"`
	Context      uint32    `json:"context" doc:"longest sequence in tokens"`
	Quantisation string    `json:"quantisation"`
	HasTemplate  bool      `json:"has_template" doc:"whether it can chat"`
	Pooling      string    `json:"pooling,omitempty" doc:"how its files want texts to become vectors; absent where they do not say"`
	Size         uint64    `json:"size" doc:"bytes"`
	Origin       Origin    `json:"origin,omitzero" doc:"where the files came from"`
	Created      time.Time `json:"created"`
}

// Model is a name and its versions, newest first.
type Model struct {
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	Versions []Version `json:"versions"`
}
