package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/odarchive/odarchive/internal/pgserver/pgtest"
)

// empty is a pool of a database in which nothing was made yet.
func empty(t *testing.T) (dsn string, connect func() *pgxpool.Pool) {
	t.Helper()
	dsn = pgtest.New(t, "unmigrated", func(context.Context, string) error { return nil })
	return dsn, func() *pgxpool.Pool {
		pool, err := pgxpool.New(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
}

// Controllers that start in the same moment on a new database each find it whole.
func TestMigrateAtOnce(t *testing.T) {
	_, connect := empty(t)
	var all errgroup.Group
	for range 4 {
		pool := connect()
		all.Go(func() error {
			if err := Migrate(t.Context(), pool); err != nil {
				return err
			}
			var n int
			if err := pool.QueryRow(t.Context(), `select count(*) from disc`).Scan(&n); err != nil {
				return fmt.Errorf("after the migration: %w", err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	var twice int
	if err := connect().QueryRow(t.Context(), `select count(*) - count(distinct version_id) from goose_db_version`).Scan(&twice); err != nil || twice > 0 {
		t.Errorf("%d migrations were applied twice (%v)", twice, err)
	}
}

// A controller that was set back to an older version says so, and changes nothing.
func TestMigrateNewer(t *testing.T) {
	dsn, connect := empty(t)
	pool := connect()
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `insert into goose_db_version (version_id, is_applied) values (9999, true)`); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), dsn)
	if err == nil {
		s.Close()
		t.Fatal("an older program works on a newer schema")
	}
	if !strings.Contains(err.Error(), "schema is 9999") || !strings.Contains(err.Error(), "later controller") {
		t.Errorf("%v", err)
	}
}
