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
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
)

// Open opens the database at an address or, where that is empty, the one in a controller's data folder, which is made when there is
// none. A folder whose controller runs is refused, but for a drill. It is a rebuild.Opener.
func Open(ctx context.Context, address, data string, drill bool) (_ rebuild.Catalogue, _ io.Closer, err error) {
	o := &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	if address == "" {
		if address, err = o.private(ctx, filepath.Join(data, "postgres"), drill); err != nil {
			return nil, nil, err
		}
	}
	if !drill {
		if o.store, err = postgres.Open(ctx, address); err != nil {
			return nil, nil, err
		}
		r, err := o.store.Restore(ctx)
		if err != nil {
			return nil, nil, err
		}
		return r, o, nil
	}
	if o.live, err = postgres.Attach(ctx, address); err != nil {
		return nil, nil, err
	}
	if o.store, err = o.live.Shadow(ctx); err != nil {
		return nil, nil, err
	}
	r, err := o.store.Restore(ctx)
	if err != nil {
		return nil, nil, err
	}
	return practice{r, o}, o, nil
}

// private returns the address of a controller's private database. For a drill its server may run; otherwise it is started.
func (o *opened) private(ctx context.Context, dir string, drill bool) (address string, err error) {
	if drill {
		if address, ok := pgserver.Running(dir, "postgres"); ok {
			return address, nil
		}
	}
	if o.server, err = pgserver.Start(ctx, pgserver.Config{Dir: dir}); err != nil {
		return "", err
	}
	return o.server.DSN("postgres"), nil
}

// practice is a rebuild.Drill.
type practice struct {
	*postgres.Restoration
	o *opened
}

// Compare follows rebuild.Drill.
func (p practice) Compare(ctx context.Context, yield func(library.Difference) error) error {
	return p.o.live.Compare(ctx, p.o.store, yield)
}

// opened is a database that is open, and its server when that is ours. live is the one beside which a drill takes place.
type opened struct {
	store, live *postgres.Store
	server      *pgserver.Server
}

// Close disconnects, lets a drill's database go, and stops the server.
func (o *opened) Close() (err error) {
	if o.store != nil {
		o.store.Close()
	}
	if o.live != nil {
		if o.store != nil {
			err = o.live.DropShadow(context.Background(), o.store)
		}
		o.live.Close()
	}
	if o.server != nil {
		err = errors.Join(err, o.server.Stop())
	}
	return err
}
