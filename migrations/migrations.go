// Package migrations holds the numbered SQL that makes and changes the controller's database. Files are applied in
// order, each once, by library/postgres; a file that has been released is never edited, the next one mends it.
// It knows nothing of Go code: what a constraint here refuses is wrong, whoever asked for it.
package migrations

import "embed"

// FS holds the migrations in goose's format, named NNNN_what.sql.
//
//go:embed *.sql
var FS embed.FS
