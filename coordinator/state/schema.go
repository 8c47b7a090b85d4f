package state

import "github.com/hashicorp/go-memdb"

// Tables.
const (
	tableProjects    = "projects"
	tableKeys        = "keys"
	tableTokens      = "tokens"
	tableNodes       = "nodes"
	tableModels      = "models"
	tableVersions    = "versions"
	tableDeployments = "deployments"
	tableInstances   = "instances"
	tableRoutes      = "routes"
)

// Indexes. Every table has the unique index "id"; its order is the order of listings.
const (
	byID         = "id"
	byHash       = "hash"
	byProject    = "project"
	byModel      = "model"
	byVersion    = "version"
	byDeployment = "deployment"
	byNode       = "node"
)

// schema of the tables: rows are pointers to the resource types and never changed
// once inserted.
var schema = &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
	tableProjects: table(tableProjects, unique(byID, "ID")),
	tableKeys: table(tableKeys, unique(byID, "ID"),
		unique(byHash, "Hash"), index(byProject, "Project")),
	tableTokens: table(tableTokens, unique(byID, "ID")),
	tableNodes:  table(tableNodes, unique(byID, "ID")),
	tableModels: table(tableModels, unique(byID, "Project", "Name"), index(byProject, "Project")),
	tableVersions: table(tableVersions, unique(byID, "ID"),
		index(byModel, "Project", "Model")),
	tableDeployments: table(tableDeployments, unique(byID, "Project", "Name"),
		index(byProject, "Project"), index(byVersion, "Version")),
	tableInstances: table(tableInstances, unique(byID, "ID"),
		index(byDeployment, "Project", "Deployment"), index(byNode, "Node"), index(byVersion, "Version")),
	tableRoutes: table(tableRoutes, unique(byID, "Project", "Name"), index(byProject, "Project")),
}}

func table(name string, indexes ...*memdb.IndexSchema) *memdb.TableSchema {
	t := &memdb.TableSchema{Name: name, Indexes: map[string]*memdb.IndexSchema{}}
	for _, i := range indexes {
		t.Indexes[i.Name] = i
	}
	return t
}

func unique(name string, fields ...string) *memdb.IndexSchema {
	i := index(name, fields...)
	i.Unique = true
	return i
}

func index(name string, fields ...string) *memdb.IndexSchema {
	if len(fields) == 1 {
		return &memdb.IndexSchema{Name: name, Indexer: &memdb.StringFieldIndex{Field: fields[0]}}
	}
	parts := make([]memdb.Indexer, len(fields))
	for i, f := range fields {
		parts[i] = &memdb.StringFieldIndex{Field: f}
	}
	return &memdb.IndexSchema{Name: name, Indexer: &memdb.CompoundIndex{Indexes: parts}}
}
