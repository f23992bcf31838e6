package postgres

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"golang.org/x/sync/errgroup"

	"github.com/odarchive/odarchive/internal/pgserver/pgtest"
	"github.com/odarchive/odarchive/migrations"
)

// unmigrated is the address of a database in which goose has made its own table and no other: where several must make that first, most come
// one after the other, lock or no lock.
func unmigrated(t *testing.T) string {
	t.Helper()
	return pgtest.New(t, "unmigrated", func(ctx context.Context, dsn string) error {
		db, err := sql.Open("pgx", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
		if err != nil {
			return err
		}
		_, _, err = provider.GetVersions(ctx)
		return err
	})
}

// versions is how many migrations pool's database remembers, and how many different ones.
func versions(t *testing.T, pool *pgxpool.Pool) (all, different int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `select count(*), count(distinct version_id) from goose_db_version`).Scan(&all, &different); err != nil {
		t.Fatal(err)
	}
	return all, different
}

// Controllers that start in the same moment on a new database each find it whole.
func TestMigrateAtOnce(t *testing.T) {
	dsn := unmigrated(t)
	var pools [6]*pgxpool.Pool
	for i := range pools {
		pool, err := pgxpool.New(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		if err := pool.Ping(t.Context()); err != nil { // connected, they begin closer together
			t.Fatal(err)
		}
		pools[i] = pool
	}
	var all errgroup.Group
	for _, pool := range pools {
		all.Go(func() error {
			if err := Migrate(t.Context(), pool); err != nil {
				return err
			}
			var discs int
			return pool.QueryRow(t.Context(), `select count(*) from disc`).Scan(&discs)
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	if n, different := versions(t, pools[0]); n != different {
		t.Errorf("%d migrations were applied twice", n-different)
	}
}

// A controller that was set back to an older version says so, and changes nothing.
func TestMigrateNewer(t *testing.T) {
	dsn := unmigrated(t)
	s, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.pool.Exec(t.Context(), `insert into goose_db_version (version_id, is_applied) values (9999, true)`); err != nil {
		t.Fatal(err)
	}
	before, _ := versions(t, s.pool)
	older, err := Open(t.Context(), dsn)
	if err == nil {
		older.Close()
		t.Fatal("an older program works on a later schema")
	}
	if !strings.Contains(err.Error(), "schema is 9999") || !strings.Contains(err.Error(), "later controller") {
		t.Errorf("%v", err)
	}
	if after, _ := versions(t, s.pool); after != before {
		t.Errorf("%d migrations were applied", after-before)
	}
}
