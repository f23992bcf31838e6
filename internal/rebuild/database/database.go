// Package database opens the PostgreSQL database that a catalogue is put together in: one with an address, or the private one of a
// controller that does not run. It is apart from rebuild so that what only reads discs links no database.
package database

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/odarchive/odarchive/internal/pgserver"
	"github.com/odarchive/odarchive/internal/rebuild"
	"github.com/odarchive/odarchive/library/postgres"
)

// Open opens the database at an address or, where that is empty, the one in a controller's data folder, which is made when there is
// none. A folder whose controller runs is refused. It is a rebuild.Opener.
func Open(ctx context.Context, address, data string) (_ rebuild.Catalogue, _ io.Closer, err error) {
	opened := &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.Close())
		}
	}()
	if address == "" {
		if opened.server, err = pgserver.Start(ctx, pgserver.Config{Dir: filepath.Join(data, "postgres")}); err != nil {
			return nil, nil, err
		}
		address = opened.server.DSN("postgres")
	}
	if opened.store, err = postgres.Open(ctx, address); err != nil {
		return nil, nil, err
	}
	r, err := opened.store.Restore(ctx)
	if err != nil {
		return nil, nil, err
	}
	return r, opened, nil
}

// opened is a database that is open, and its server when that is ours.
type opened struct {
	store  *postgres.Store
	server *pgserver.Server
}

// Close disconnects and stops the server.
func (o *opened) Close() error {
	if o.store != nil {
		o.store.Close()
	}
	if o.server != nil {
		return o.server.Stop()
	}
	return nil
}
